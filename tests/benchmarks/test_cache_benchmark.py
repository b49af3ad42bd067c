"""The benchmark of the cache runs, and gives each way to come to a view a row with its ratio."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.program import ROOT


@pytest.mark.slow
def test_each_way_has_a_row(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/cache.py"), "crop=65", "width=80", "height=60", "pictures=2"]
    said = subprocess.run(
        [*command, "rounds=2", f"folder={tmp_path}", f"json={tmp_path}/said.json"], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    rows = [[word.strip() for word in line.split("|")[1:-1]] for line in said.stdout.splitlines() if line[:2] == "| "]
    ways = ["decode", "fill", "first", "again"]
    assert [row[:2] for row in rows[2:]] == [[work, way] for work in ("labeled", "unlabeled") for way in ways]
    assert all(float(row[4]) > 0 for row in rows[2:])
    assert len(json.loads((tmp_path / "said.json").read_text())["seconds"]["labeled"]["again"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["said.json"]
