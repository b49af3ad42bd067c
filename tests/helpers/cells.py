"""Cells as runs leave them, without training: frozen, with attempts, logs, journals and results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gta.cell import Cell
from gta.config import Config, DataConfig, ModelConfig, ScheduleConfig
from gta.data.splits.split import Split
from gta.files import write_json
from gta.journal import Journal
from gta.methods import METHODS
from launch.state import attempts
from tests.helpers.configs import changed


def config() -> Config:
    return Config(
        method=METHODS["gta"].Config(),
        data=DataConfig(
            name="toy", split="1/8", classes=["a", "b"], crop_size=32, root="/data/toy", split_dir="/splits"
        ),
        model=ModelConfig(encoder="tiny", width=8, weights="random"),
        schedule=ScheduleConfig(iterations=10, batch_size=4, group_size=2, lr=0.1, eval_every=5),
    )


def split() -> Split:
    return Split(labeled=["a"], unlabeled=["b", "c"], val=["d"])


def of_seeds(count: int, runs: Path) -> list[Cell]:
    """Cells of that config, of seeds 0 to count - 1."""
    made = []
    for seed in range(count):
        one = changed(config(), {"seed": seed, "paths.runs": str(runs)})
        made.append(Cell.of(one, split()))
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
