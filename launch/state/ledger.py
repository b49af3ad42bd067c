"""What each cell's folder says: done, running, queued, failed, cancelled, resumable, or never run.

The folder is the witness. Slurm's COMPLETED and submitit's result pickle prove nothing about a cell; a scheduler's
word only says whether a job still is, and what ended one that left no word of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta import journal
from launch.state import attempts, policy
from launch.state.attempts import Record
from launch.state.bounds import exhausted
from launch.state.jobs import EndedJob, HeldJob
from launch.state.policy import POLICY, Death

if TYPE_CHECKING:  # status, logs and cancel need no torch to look at folders
    from gta.cell import Cell


class State(StrEnum):
    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RESUMABLE = "resumable"
    NEVER_RUN = "never run"


RETRY = {
    "none": (),
    "failed": (State.FAILED,),
    "cancelled": (State.CANCELLED,),
    "all": (State.FAILED, State.CANCELLED),
}


@dataclass(frozen=True)
class Entry:
    """One cell's line in the ledger."""

    cell: Cell
    state: State
    detail: str = ""
    attempts: int = 0
    log: str | None = None  # of the rank that failed, or of rank 0 of the last attempt
    cause: Death | None = None  # of the last attempt's end, where it is known
    job: str | None = None  # as which the cell was last submitted
    cluster: str | None = None  # local, slurm
    node: str | None = None  # where it runs
    here: bool = False  # it runs on this host

    @property
    def reason(self) -> str:
        """Why the cell has no number yet, in a few words; empty when it has one."""
        if self.state is State.DONE:
            return ""
        return f"{self.state}: {self.detail}" if self.detail else str(self.state)


def look(cell: Cell, held: Mapping[str, HeldJob] | None = None, ended: Mapping[str, EndedJob] | None = None) -> Entry:
    """The state of one cell.

    `held`: the jobs that schedulers hold; None where nobody could be asked, so that heartbeats alone tell.
    `ended`: how jobs that are over ended; None where that was not asked.
    """
    folder = cell.folder
    past = attempts.latest(folder)
    number = past.number if past else 0
    submitted = read_json(folder / "submitted.json") or {}
    job = submitted.get("job")
    log = (past.fields.get("log") if past else None) or submitted.get("log")
    base = Entry(cell, State.NEVER_RUN, "", number, log, job=job, cluster=submitted.get("cluster"))
    if (result := read_json(folder / "result.json")) is not None:
        miou = result["networks"][result["headline"]]["last"]["miou"]
        return replace(base, state=State.DONE, detail=f"mIoU {miou:.2f}")

    in_hand = held.get(job) if held and job else None
    over = held is not None and base.cluster == "slurm" and in_hand is None
    mine = past is not None and job is not None and past.fields.get("job") == job
    if past and past.alive() and not (mine and (over or (in_hand and in_hand.state == "PENDING"))):
        node = past.fields.get("node") or past.fields.get("host")
        return replace(base, state=State.RUNNING, detail=_where(past), here=past.here, node=node)

    since = submitted.get("time", 0.0)
    failure = read_json(folder / "failure.json")
    if failure is not None and failure["attempt"] != number:
        failure = None  # of an earlier attempt: history
    if failure is not None and failure["time"] > since:
        return _failed(base, failure)
    cancelled = read_json(folder / "cancelled.json")
    if cancelled is not None and cancelled["time"] > since:
        return replace(base, state=State.CANCELLED, detail=f"by {cancelled['by']}", cause=Death.CANCELLED)
    if in_hand is not None:
        return replace(base, state=State.QUEUED, detail=_waits(in_hand, number), node=in_hand.node or None)
    if failure is not None:  # submitted again, and that job came to nothing
        return _failed(base, failure)
    return _unfinished(base, past, mine, submitted, ended if over else None)


def _failed(base: Entry, failure: dict[str, Any]) -> Entry:
    cause = policy.of_failure(failure)
    return replace(base, state=State.FAILED, detail=failure["error"], log=failure.get("log") or base.log, cause=cause)


def _unfinished(
    base: Entry, past: Record | None, mine: bool, submitted: dict[str, Any], ended: Mapping[str, EndedJob] | None
) -> Entry:
    """A cell that nobody is at: it can go on, or begin, unless its death or the bounds forbid it."""
    asked_to_stop = mine and past is not None and past.ended == "interrupted"
    if ended is not None and base.job and not asked_to_stop:
        fate = ended.get(base.job)
        base = replace(base, cause=policy.of_job(fate, began=mine))
        assert base.cause is not None
        if not POLICY[base.cause].again:
            state = State.CANCELLED if base.cause is Death.CANCELLED else State.FAILED
            code = f" (exit code {fate.code})" if fate and fate.code else ""
            text = "in Slurm" if state is State.CANCELLED else f"{base.cause}: Slurm says {fate and fate.state}{code}"
            return replace(base, state=state, detail=text)
    if given_up := exhausted(base.cell.folder, base.cell.config.site, submitted):
        last = f"; last: {base.cause}" if base.cause else ""
        return replace(base, state=State.FAILED, detail=f"gave up: {given_up}{last}", cause=Death.GAVE_UP)
    why = f" ({base.cause})" if base.cause else ""
    if past is None:
        return replace(base, detail=f"its job is gone{why}" if why else "")
    seen = journal.last(base.cell.folder / "journal.jsonl")
    at = f"stopped near iteration {seen['iteration']}" if seen else "stopped before its first iterations"
    return replace(base, state=State.RESUMABLE, detail=at + why)


def ledger(
    cells: Iterable[Cell],
    held: Mapping[str, HeldJob] | None = None,
    fates: Callable[[Collection[str]], Mapping[str, EndedJob]] | None = None,
) -> list[Entry]:
    """The states of cells; `fates` is asked once, for all Slurm jobs that are over and left no word."""
    entries = [look(cell, held) for cell in cells]
    silent = [i for i, e in enumerate(entries) if held is not None and e.cluster == "slurm" and _open(e)]
    if silent and fates is not None:
        ended = fates({str(entries[i].job) for i in silent})
        for i in silent:
            entries[i] = look(entries[i].cell, held, ended)
    return entries


def _open(entry: Entry) -> bool:
    return entry.state in (State.NEVER_RUN, State.RESUMABLE) or entry.cause is Death.GAVE_UP


def to_run(entry: Entry, retry: str = "none") -> bool:
    """Whether a multirun would submit the cell: what is missing, and what failed or was cancelled only when asked."""
    return entry.state in (State.NEVER_RUN, State.RESUMABLE, *RETRY[retry])


def submitted_jobs(cells: Iterable[Cell], cluster: str) -> list[str]:
    """Ids of the jobs that cells without a result were last submitted as, to that cluster (local, slurm)."""
    open_cells = (cell.folder for cell in cells if not (cell.folder / "result.json").exists())
    records = (read_json(folder / "submitted.json") for folder in open_cells)
    return sorted({record["job"] for record in records if record and record["cluster"] == cluster})


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None where it is absent."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _where(record: Record) -> str:
    job = record.fields.get("job")
    return f"on {record.fields['host']}" + (f", job {job}" if job else f", process {record.fields['pid']}")


def _waits(held: HeldJob, number: int) -> str:
    """What a job that has not begun (again) waits for."""
    if held.state != "PENDING":
        word = "starting" if held.state in ("RUNNING", "CONFIGURING") else held.state.lower()
        return f"job {held.job} {word}" + (f" on {held.node}" if held.node else "")
    again = f", queued again after attempt {number}" if number else ""
    reason = f" ({held.reason})" if held.reason not in ("", "None") else ""
    return f"job {held.job}{again}{reason}"
