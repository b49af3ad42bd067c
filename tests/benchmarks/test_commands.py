"""The benchmark of the commands runs, and gives each command a row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.program import ROOT


@pytest.mark.slow
def test_each_command_has_a_row(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/commands.py"), "cells=6", "rounds=1", "submit=no"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    rows = [line.split("|")[1].strip() for line in said.stdout.splitlines() if line.startswith("| ")]
    assert rows == ["", "---", "plan", "status", "table", "table, done", "again", "unchanged"]
    assert list(tmp_path.iterdir()) == []
