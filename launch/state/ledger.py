"""What each cell's folder says: done, running, queued, failed, cancelled, resumable, never run, or broken.

The folder is the witness. Slurm's COMPLETED and submitit's result pickle prove nothing about a cell; a scheduler's
word only says whether a job still is, and what ended one that left no word of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from gta import journal
from gta.cellfolder import Attempt, BrokenRecord, Cancelled, Death, Failure, Submitted, readable
from launch.state.jobs import EndedJob, HeldJob
from launch.state.policy import POLICY, exhausted, of_job

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
    BROKEN = "broken"  # a record in its folder cannot be read: a person must look


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
    detail: str = ""  # for people
    attempts: int = 0
    miou: float | None = None  # of a cell that is done, in percent
    log: str | None = None  # of the rank that failed, or of rank 0 of the last attempt
    cause: Death | None = None  # of the last attempt's end, where it is known
    job: str | None = None  # as which the cell was last submitted
    cluster: str | None = None  # local, slurm
    node: str | None = None  # where it runs
    here: bool = False  # it runs on this host
    held: HeldJob | None = None  # what the scheduler says of the job of a cell that waits

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
    try:
        return _look(cell, held, ended)
    except BrokenRecord as error:
        last = cell.folder.latest_attempt()
        return Entry(cell, State.BROKEN, str(error), last.number if last else 0, log=last.log if last else None)


def _look(cell: Cell, held: Mapping[str, HeldJob] | None, ended: Mapping[str, EndedJob] | None) -> Entry:
    """As `look`; raises BrokenRecord."""
    folder = cell.folder
    folder.identity()  # the store and the names of cells live on it
    past, submitted, result = folder.latest_attempt(), folder.submitted(), folder.result()
    job = submitted.job if submitted else None
    base = Entry(
        cell,
        State.NEVER_RUN,
        attempts=past.number if past else 0,
        log=(past.log if past else None) or (submitted.log if submitted else None),
        job=job,
        cluster=submitted.cluster if submitted else None,
    )
    if result is not None:
        return replace(base, state=State.DONE, detail=f"mIoU {result.miou:.2f}", miou=result.miou)

    in_hand = held.get(job) if held and job else None
    over = held is not None and base.cluster == "slurm" and in_hand is None
    mine = past is not None and job is not None and past.job == job
    if past and past.alive() and not (mine and (over or (in_hand and in_hand.state == "PENDING"))):
        return replace(base, state=State.RUNNING, detail=_where(past), here=past.here, node=past.node or past.host)

    verdict = folder.verdict()
    if isinstance(verdict, Cancelled):
        return replace(base, state=State.CANCELLED, detail=f"by {verdict.by}", cause=Death.CANCELLED)
    if verdict is None and in_hand is not None:
        said = _waits(in_hand, base.attempts)
        return replace(base, state=State.QUEUED, detail=said, node=in_hand.node or None, held=in_hand)
    if failure := verdict or folder.last_failure():  # the latter: submitted again, and that job came to nothing
        return _failed(base, failure)
    return _unfinished(base, past, mine, submitted, ended if over else None)


def _failed(base: Entry, failure: Failure) -> Entry:
    return replace(base, state=State.FAILED, detail=failure.error, log=failure.log or base.log, cause=failure.cause)


def _unfinished(
    base: Entry,
    past: Attempt | None,
    mine: bool,
    submitted: Submitted | None,
    ended: Mapping[str, EndedJob] | None,
) -> Entry:
    """A cell that nobody is at: it can go on, or begin, unless its death or the bounds forbid it."""
    asked_to_stop = mine and past is not None and past.ended == "interrupted"
    if ended is not None and base.job and not asked_to_stop:
        fate = ended.get(base.job)
        base = replace(base, cause=of_job(fate, began=mine))
        assert base.cause is not None
        if not POLICY[base.cause].again:
            state = State.CANCELLED if base.cause is Death.CANCELLED else State.FAILED
            code = f" (exit code {fate.code})" if fate and fate.code else ""
            text = "in Slurm" if state is State.CANCELLED else f"{base.cause}: Slurm says {fate and fate.state}{code}"
            return replace(base, state=state, detail=text)
    if given_up := exhausted(base.cell.folder.attempts(), base.cell.config.site, submitted):
        last = f"; last: {base.cause}" if base.cause else ""
        return replace(base, state=State.FAILED, detail=f"gave up: {given_up}{last}", cause=Death.GAVE_UP)
    why = f" ({base.cause})" if base.cause else ""
    if past is None:
        return replace(base, detail=f"its job is gone{why}" if why else "")
    seen = journal.last(base.cell.folder.journal_file)
    at = f"stopped near iteration {seen['iteration']}" if seen else "stopped before its first iterations"
    if past.broken:
        why += f"; {past.broken}"
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
    """Ids of the jobs that cells without a result were last submitted as, to that cluster (local, slurm).

    A record that is broken is passed over: the ledger names it.
    """
    folders = (cell.folder for cell in cells if not cell.folder.done)
    records = (readable(folder.submitted, say=lambda _: None) for folder in folders)
    return sorted({record.job for record in records if record and record.cluster == cluster})


def _where(attempt: Attempt) -> str:
    if attempt.broken:
        return attempt.broken
    return f"on {attempt.node or attempt.host}" + (
        f", job {attempt.job}" if attempt.job else f", process {attempt.pid}"
    )


def _waits(held: HeldJob, number: int) -> str:
    """What a job that has not begun (again) waits for."""
    if held.state != "PENDING":
        word = "starting" if held.state in ("RUNNING", "CONFIGURING") else held.state.lower()
        return f"job {held.job} {word}" + (f" on {held.node}" if held.node else "")
    again = f", queued again after attempt {number}" if number else ""
    reason = f" ({held.reason})" if held.reason not in ("", "None") else ""
    return f"job {held.job}{again}{reason}"
