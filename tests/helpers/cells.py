"""Cells as runs leave them, without training: frozen, with attempts, logs, journals and results."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from gta.cell import Cell
from gta.cellfolder import (
    Attempt,
    Cancelled,
    CellFolder,
    Failure,
    Identity,
    NetworkScores,
    Result,
    Score,
    Submitted,
)
from gta.config import Config, DataConfig, ModelConfig, ScheduleConfig
from gta.data.splits.split import Split
from gta.journal import Journal
from gta.methods import METHODS
from launch.state import attempts
from launch.state.attempts import Claim
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


def identity(folder: CellFolder, **changes: Any) -> None:
    """cell.json by itself, for who needs no config: gta on voc 1/8, seed 0, if nothing else is said."""
    fields: dict[str, Any] = {
        "method": "gta", "label": "gta", "dataset": "voc", "split": "1/8", "split_family": "classic", "labels": 1,
        "unlabeled": 2, "val": 1, "ratio": "1/3", "seed": 0, "digests": {}, "params": {},
    }  # fmt: skip
    Identity(signature=folder.signature, **{**fields, **changes}).write(folder.identity_file)


def submitted(cell: Cell, job: str, when: float = 1.0, **fields: Any) -> None:
    """The cell as it was sent to Slurm as that job."""
    Submitted(**{"job": job, "cluster": "slurm", "log": "/log", "time": when, **fields}).write(
        cell.folder.submitted_file
    )


def failed(cell: Cell, error: str = "boom", when: float = 2.0, attempt: int = 1, **fields: Any) -> None:
    """Why an attempt failed: cause, rank and log are those of `Failure`, if nothing is said."""
    Failure(attempt=attempt, error=error, time=when, **fields).write(cell.folder.failure_file)


def cancelled(cell: Cell, by: str = "ada", when: float | None = None, job: str | None = None) -> None:
    Cancelled(time=time.time() if when is None else when, by=by, job=job).write(cell.folder.cancelled_file)


def last_attempt(cell: Cell) -> Attempt:
    found = cell.folder.latest_attempt()
    assert found is not None
    return found


def change_attempt(cell: Cell, **fields: Any) -> None:
    """The record of the last attempt, with other fields: `place` of another host, `started` of a dead process."""
    last = last_attempt(cell)
    replace(last, **fields).write(cell.folder.attempt_file(last.number))


def claim(cell: Cell, after: int = 0, **fields: Any) -> Claim:
    """A claim of this process's, where the cell is free."""
    made = attempts.claim(cell.folder, after, **fields)
    assert made is not None
    return made


def attempt(
    cell: Cell, job: str, ended: str | None, began: int | None = None, why: str | None = None, **fields: Any
) -> Path:
    """An attempt of a local job with two ranks, and their logs; rank 0's log."""
    folder = Path(cell.config.paths.runs) / "sweeps/toy/jobs" / job
    folder.mkdir(parents=True, exist_ok=True)
    logs = [folder / f"{job}_{rank}_log.out" for rank in range(2)]
    mine = claim(cell, job=job, log=str(logs[0]), **fields)
    for rank, log in enumerate(logs):
        log.write_text(f"attempt {mine.number} of rank {rank}\n")
    (folder / f"{job}_submitted.pkl").write_bytes(b"0" * 100)
    submitted(cell, job, time.time() - 60, cluster="local", log=str(logs[0]))
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started", iteration=0, device="cpu", world_size=2)
        journal.metrics(5, {"loss/supervised": 1.0, "seconds": 2.0})
    if began is not None:
        mine.began(began)
    if ended:
        mine.end(ended, why=why)
    if ended == "done":
        finish(cell)
    return logs[0]


def scored(cell: Cell, miou: float, commit: str = "a" * 40) -> None:
    """What a finished cell leaves behind, of a run that was as good at its end as ever."""
    cell.write()
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started")
    finish(cell, miou, best=miou, commit=commit)


def finish(cell: Cell, miou: float = 50.0, best: float | None = None, commit: str = "c0ffee") -> None:
    """The result of a student; its best was one point above its last, if nothing else is said."""
    last, top = Score(iteration=10, miou=miou), Score(iteration=5, miou=miou + 1 if best is None else best)
    Result(
        signature=cell.signature,
        iteration=10,
        headline="student",
        evaluation="original size",
        classes=["a", "b"],
        networks={"student": NetworkScores(last=last, best=top)},
        seconds=2.0,
        commit=commit,
        finished=time.time(),
    ).write(cell.folder.result_file)
