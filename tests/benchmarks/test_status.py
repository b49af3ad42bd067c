"""The benchmark of many cells runs, and says every part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.program import ROOT


@pytest.mark.slow
def test_it_prints_the_parts(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/status.py"), "cells=20", "lines=5"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert lines[0].startswith("20 cells: 16 done, 2 running, 2 failed")
    parts = ("imports", "compose", "  one by one", "ledger", "board's lines", "render", "journals read whole")
    assert [line.startswith(part) for line, part in zip(lines[1:], parts, strict=True)] == [True] * len(parts)
