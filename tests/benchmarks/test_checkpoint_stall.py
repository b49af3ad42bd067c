"""The benchmark of a save runs, and gives each way to save a row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import checkpoint


@pytest.mark.slow
def test_each_way_to_save_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["megabytes=1", "tensors=5", "step=0.001", "rounds=2", f"folder={tmp_path}", f"json={tmp_path}/found.json"]
    checkpoint.main(words)
    said = capsys.readouterr().out
    rows = [[word.strip() for word in line.split("|")[1:-1]] for line in said.splitlines() if line[:2] == "| "]
    assert [row[0] for row in rows[2:]] == [checkpoint.WAITS, checkpoint.BEHIND]
    found = json.loads((tmp_path / "found.json").read_text())
    assert [len(taken) for taken in found["seconds"].values()] == [2, 2]
    assert len(found["meanwhile"]) == 2
    assert min(found["meanwhile"]) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"], "it leaves nothing"
