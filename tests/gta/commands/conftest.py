"""Cells as runs leave them, without training: frozen, with attempts, logs, journals and results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from gta.files import write_json
from gta.journal import Journal
from launch import attempts
from launch.cell import Cell
from tests.launch.test_cell import config, split


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    """Three frozen cells, gta on 1/8 with seeds 0, 1 and 2, below tmp_path/runs."""
    made = []
    for seed in range(3):
        mine = config()
        mine.seed, mine.paths.runs = seed, str(tmp_path / "runs")
        cell = Cell.of(mine, split())
        cell.write()
        made.append(cell)
    return made


def attempt(cell: Cell, job: str, ended: str | None, **fields: Any) -> Path:
    """An attempt of a local job with two ranks, and their logs; rank 0's log."""
    folder = Path(cell.config.paths.runs) / "sweeps/toy/jobs" / job
    folder.mkdir(parents=True, exist_ok=True)
    logs = [folder / f"{job}_{rank}_log.out" for rank in range(2)]
    mine = attempts.claim(cell.folder, job=job, log=str(logs[0]), **fields)
    assert mine is not None
    for rank, log in enumerate(logs):
        log.write_text(f"attempt {mine.number} of rank {rank}\n")
    (folder / f"{job}_submitted.pkl").write_bytes(b"0" * 100)
    record = {"job": job, "cluster": "local", "log": str(logs[0]), "time": time.time() - 60}
    write_json(cell.folder / "submitted.json", record)
    with Journal(cell.folder / "journal.jsonl") as journal:
        journal.event("started", iteration=0, device="cpu", world_size=2)
        journal.metrics(5, {"loss/supervised": 1.0, "seconds": 2.0})
    if ended:
        mine.end(ended)
    if ended == "done":
        finish(cell)
    return logs[0]


def finish(cell: Cell, miou: float = 50.0) -> None:
    score = {"last": {"miou": miou}, "best": {"miou": miou + 1, "iteration": 5}}
    result = {"headline": "student", "networks": {"student": score}, "iteration": 10, "evaluation": "original size"}
    write_json(cell.folder / "result.json", {**result, "commit": "c0ffee"})
