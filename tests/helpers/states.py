"""A grid of ten cells with one in each state, for what shows them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gta.cell import Cell
from gta.cellfolder import Death
from gta.journal import Journal
from launch.show.rows import BoardRow, rows
from launch.slurm.reconcile import reconcile
from tests.helpers.cells import cancelled, change_attempt, claim, config, failed, finish, split, submitted
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm

NAMES = ("waiting", "running", "again", "done", "failed", "memory", "cancelled", "lost", "stopped", "never")


def ten_cells(tmp_path: Path) -> list[Cell]:
    """Ten cells of 1,000 iterations, submitted to Slurm as tasks of job 57."""
    made = []
    for seed in range(10):
        mine = changed(config(), {"seed": seed, "paths.runs": str(tmp_path / "runs"), "schedule.iterations": 1000})
        cell = Cell.of(mine, split())
        submitted(cell, f"57_{seed}", time.time() - 7200)
        made.append(cell)
    return made


def attempt(cell: Cell, ended: str | None = None, hours: float = 1.0, device: str = "cuda:0", **fields: Any) -> None:
    """An attempt on node n1 that began `hours` ago: over, or with a fresh heartbeat."""
    claim(cell, after=99, job=f"57_{cell.config.seed}", log="/log")
    ends = {"ended": ended, "end_time": time.time()} if ended else {}
    change_attempt(cell, time=time.time() - 3600 * hours, place="another host", host="n1", **fields, **ends)
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started", iteration=0, device=device, world_size=1)


def play(cells: list[Cell], slurm: FakeSlurm) -> dict[str, BoardRow]:
    """One cell in each state; what the board says of them."""
    slurm.add(*(f"57_{i}" for i in range(10)))
    _, running, again, done, crashed, memory, ended, lost, stopped, never = cells
    attempt(running)
    with Journal(running.folder.journal_file) as journal:
        journal.metrics(250, {"loss/supervised": 0.5, "loss/unsupervised": 0.25, "seconds": 125.0})
    slurm.set("57_1", state="RUNNING", node="n1", reason="None")
    attempt(again, "interrupted", hours=0.5)
    slurm.set("57_2", reason="BeginTime")
    attempt(done, "done", hours=2.0)
    finish(done, miou=71.25125)
    slurm.set("57_3", state="COMPLETED")
    for cell, cause, error in ((crashed, Death.EXCEPTION, "ValueError: boom"), (memory, Death.MEMORY, "CUDA error")):
        attempt(cell, "failed")
        failed(cell, error, time.time(), cause=cause, rank=0, log="/log")
        slurm.set(f"57_{cell.config.seed}", state="FAILED", exit="1:0")
    slurm.set("57_6", state="CANCELLED")
    cancelled(ended, by="ada", job="57_6")
    attempt(lost, saved=100)
    with Journal(lost.folder.journal_file) as journal:
        journal.metrics(120, {"loss/supervised": 0.5, "seconds": 60.0})
    slurm.set("57_7", state="NODE_FAIL", node="n1")
    attempt(stopped, "interrupted")
    slurm.set("57_8", state="COMPLETED")
    never.folder.submitted_file.unlink()
    return dict(zip(NAMES, rows(reconcile(cells)), strict=True))
