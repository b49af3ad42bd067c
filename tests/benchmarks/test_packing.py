"""The benchmark of cells side by side runs on this machine, and gives each number of processes a row with its ratio."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.packing import processes
from tests.helpers.program import ROOT


@pytest.mark.slow
def test_each_number_of_processes_has_a_row(tmp_path: Path) -> None:
    words = ("processes=2", "crop=17", "batch=2", "classes=3", "rounds=2", "steps=1", f"json={tmp_path / 'found.json'}")
    command = [sys.executable, str(ROOT / "benchmarks/packing.py"), "device=cpu", *words]
    said = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert said.returncode == 0, said.stderr
    rows = [[word.strip() for word in line.split("|")[1:-1]] for line in said.stdout.splitlines() if line[:2] == "| "]
    assert [row[:2] for row in rows[2:]] == [["cores", "1"], ["cores", "2"]]
    assert rows[2][4] == "1.00"
    found = json.loads((tmp_path / "found.json").read_text())["images_a_second"]["plain"]
    assert {number: len(rates) for number, rates in found.items()} == {"1": 2, "2": 2}
    assert all(rate > 0 for rates in found.values() for rate in rates)


def test_a_wrong_number_is_said() -> None:
    assert processes("4,2") == [1, 2, 4], "the ratio needs one process"
    with pytest.raises(SystemExit, match="processes=1,none: give numbers, as in processes=1,2,4"):
        processes("1,none")
