"""What each cell's folder says: done, running, queued, failed, resumable, or never run.

The folder is the only witness. Slurm's COMPLETED and submitit's result pickle prove nothing about a cell.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from gta import journal
from launch import attempts
from launch.cell import Cell


class State(StrEnum):
    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    FAILED = "failed"
    RESUMABLE = "resumable"
    NEVER_RUN = "never run"


@dataclass(frozen=True)
class Entry:
    """One cell's line in the ledger."""

    cell: Cell
    state: State
    detail: str = ""
    attempts: int = 0
    log: str | None = None  # of the rank that failed, or of rank 0 of the last attempt
    stopped: bool = False  # the last attempt was asked to stop, saved, and left
    here: bool = False  # it runs on this host

    @property
    def reason(self) -> str:
        """Why the cell has no number yet, in a few words; empty when it has one."""
        if self.state is State.DONE:
            return ""
        return f"{self.state}: {self.detail}" if self.detail else str(self.state)


def look(cell: Cell, live_jobs: Collection[str] = ()) -> Entry:
    """The state of one cell; `live_jobs` are the ids of jobs that a scheduler still holds."""
    folder = cell.folder
    past = attempts.latest(folder)
    number = past.number if past else 0
    log = past.fields.get("log") if past else None
    result = read_json(folder / "result.json")
    if result is not None:
        miou = result["networks"][result["headline"]]["last"]["miou"]
        return Entry(cell, State.DONE, f"mIoU {miou:.2f}", number, log)
    if past is not None and past.alive():
        return Entry(cell, State.RUNNING, _where(past), number, log, here=past.here)
    submitted = read_json(folder / "submitted.json") or {"job": "", "time": 0.0}
    log = log or submitted.get("log")
    failure = read_json(folder / "failure.json")
    if failure is not None and failure["attempt"] == number and failure["time"] > submitted["time"]:
        return Entry(cell, State.FAILED, failure["error"], number, failure.get("log") or log)
    if submitted["job"] in live_jobs:
        return Entry(cell, State.QUEUED, f"job {submitted['job']}", number, log)
    if failure is not None and failure["attempt"] == number:  # submitted again, and that job came to nothing
        return Entry(cell, State.FAILED, failure["error"], number, failure.get("log") or log)
    if past is not None:
        seen = journal.last(folder / "journal.jsonl")
        at = f"stopped near iteration {seen['iteration']}" if seen else "stopped before its first iterations"
        return Entry(cell, State.RESUMABLE, at, number, log, stopped=past.ended == "interrupted")
    return Entry(cell, State.NEVER_RUN, log=log)


def ledger(cells: Iterable[Cell], live_jobs: Collection[str] = ()) -> list[Entry]:
    return [look(cell, live_jobs) for cell in cells]


def to_run(entry: Entry, retry: str = "none") -> bool:
    """Whether a multirun would submit the cell: what is missing, and what failed only when asked."""
    return entry.state in (State.NEVER_RUN, State.RESUMABLE) or (entry.state is State.FAILED and retry == "failed")


def submitted_jobs(cells: Iterable[Cell], cluster: str) -> list[str]:
    """Ids of the jobs that cells were last submitted as, to that cluster (local, slurm)."""
    records = (read_json(cell.folder / "submitted.json") for cell in cells)
    return sorted({record["job"] for record in records if record and record["cluster"] == cluster})


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None where it is absent."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _where(record: attempts.Record) -> str:
    job = record.fields.get("job")
    return f"on {record.fields['host']}" + (f", job {job}" if job else f", process {record.fields['pid']}")
