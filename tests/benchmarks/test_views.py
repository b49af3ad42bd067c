"""The benchmark of the data path runs, and gives each kind of work a row with its ratio."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.program import ROOT


@pytest.mark.slow
def test_each_kind_of_work_has_a_row(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/views.py"), "crop=65", "width=80", "height=60", "views=2"]
    said = subprocess.run([*command, "rounds=1"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    rows = [[word.strip() for word in line.split("|")[1:-1]] for line in said.stdout.splitlines() if line[:2] == "| "]
    assert [row[0] for row in rows[2:]] == ["weak", "weak and strong", "decode"]
    assert all(float(row[4]) > 0 for row in rows[2:])
    assert list(tmp_path.iterdir()) == []
