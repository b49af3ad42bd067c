"""What each cell's folder says: done, running, queued, failed, cancelled, resumable, never run, unknown, or damaged.

The folder is the witness. Slurm's COMPLETED and submitit's result pickle prove nothing about a cell; a scheduler's
word only says whether a job still is, and what ended one that left no word of its own. Where nobody knows, nothing is
taken for lost: the cell waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from gta import journal
from gta.cellfolder import Attempt, BrokenRecord, Cancelled, Death, Failure, Result, Submitted, readable
from launch.state import setup, silent
from launch.state.damage import latest
from launch.state.jobs import EndedJob, HeldJob, Jobs, Unknown, Word
from launch.state.policy import POLICY, exhausted, of_job, with_cause

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
    UNKNOWN = "unknown"  # it has begun or is over, and nobody knows yet what became of its job
    DAMAGED = "damaged"  # a record in its folder cannot be read: a person must look


BUSY = (State.RUNNING, State.QUEUED, State.UNKNOWN)  # a job is at the cell, or will be, as far as is known
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
    result: Result | None = field(default=None, compare=False, repr=False)  # of the same, whole
    log: str | None = None  # of the rank that failed, or of rank 0 of the last attempt
    cause: Death | None = None  # of the last attempt's end, where it is known
    job: str | None = None  # as which the cell was last submitted
    cluster: str | None = None  # local, slurm
    node: str | None = None  # where it runs
    here: bool = False  # it runs on this host
    held: HeldJob | None = None  # what the scheduler says of the job of a cell that waits, or is suspended
    unknown: Unknown | None = None  # why nobody knows about its job: the state is that of its folder
    silent: float | None = None  # since when a cell that was begun makes no progress (unix seconds)

    @property
    def reason(self) -> str:
        """Why the cell has no number yet, in a few words; empty when it has one."""
        if self.state is State.DONE:
            return ""
        return f"{self.state}: {self.detail}" if self.detail else str(self.state)

    @property
    def error(self) -> str:
        """What failed, in a line, with the cause in front where it lacks."""
        return with_cause(self.cause, self.detail)


NOT_ASKED = Unknown("nobody was asked about its job")
SUSPENDED = "suspended by Slurm"


def look(cell: Cell, word: Word | None = None) -> Entry:
    """The state of one cell. `word`: what a scheduler says of the job that it was last submitted as; None for one that
    is no scheduler's.
    """
    try:
        return _look(cell, word)
    except BrokenRecord as error:
        last = latest(cell.folder)
        return Entry(cell, State.DAMAGED, error.brief, last.number if last else 0, log=last.log if last else None)


def _look(cell: Cell, word: Word | None) -> Entry:
    """As `look`; raises BrokenRecord."""
    folder = cell.folder
    if not cell.recorded:
        return Entry(cell, State.NEVER_RUN, "no record of it is here, and its lists are not")
    folder.identity()  # the store and the names of cells live on it
    if (result := folder.result()) is not None:
        return _done(cell, result)
    folder.check_places()
    past, submitted = folder.latest_attempt(), folder.submitted()
    job = submitted.job if submitted else None
    base = Entry(
        cell,
        State.NEVER_RUN,
        attempts=past.number if past else 0,
        log=(past.log if past else None) or (submitted.log if submitted else None),
        job=job,
        cluster=submitted.cluster if submitted else None,
    )
    word = _of_this_job(word, base)
    mine = past is not None and submitted is not None and past.number > submitted.after and past.job == job
    held = word if mine and isinstance(word, HeldJob) else None  # of the job that the last attempt is in
    put_back = isinstance(word, HeldJob) and word.state == "PENDING"
    ended = isinstance(word, EndedJob) and bool(word.state)
    if past and past.alive() and not (mine and (ended or put_back)):
        return _running(base, past, held)

    folder.orders()  # a job that begins, or a retry, reads them
    verdict = folder.verdict()
    if isinstance(verdict, Cancelled):
        return replace(base, state=State.CANCELLED, detail=f"by {verdict.by}", cause=Death.CANCELLED)
    if verdict is not None:
        return _failed(base, verdict)
    if past and held and not put_back and silent.may_live(past) and silent.of_this_start(past, held):
        return _running(base, past, held)  # its node is frozen, say: the job has it as long as Slurm holds that
    if isinstance(word, HeldJob):
        said = _waits(word, base.attempts)
        if mine and past and past.ended and not put_back:
            said += f"; attempt {past.number} in it is over ({past.error or past.ended})"
        return replace(base, state=State.QUEUED, detail=said, node=word.node or None, held=word)
    if isinstance(word, Unknown):
        return _unknown(base, past, mine, word)
    if isinstance(word, EndedJob) and not mine and submitted and (line := setup.failure_in(submitted.log)):
        return replace(base, state=State.FAILED, detail=line, log=submitted.log, cause=Death.EXCEPTION)
    if failure := folder.last_failure():  # submitted again, and that job came to nothing
        return _failed(base, failure)
    return _unfinished(base, past, mine, submitted, word)


def _done(cell: Cell, result: Result) -> Entry:
    """A cell with a result, whatever of its other records can be read."""
    past, sent = latest(cell.folder), readable(cell.folder.submitted, say=lambda _: None)
    return Entry(
        cell,
        State.DONE,
        f"mIoU {result.miou:.2f}",
        attempts=past.number if past else 0,
        miou=result.miou,
        result=result,
        log=(past.log if past else None) or (sent.log if sent else None),
        job=sent.job if sent else None,
        cluster=sent.cluster if sent else None,
    )


def _of_this_job(word: Word | None, base: Entry) -> Word | None:
    """The word, unless the cell was submitted as another job since it was asked for, or nobody was asked at all."""
    if base.cluster != "slurm":
        return word
    if word is None or (not isinstance(word, Unknown) and word.job != base.job):
        return NOT_ASKED
    return word


def _unknown(base: Entry, past: Attempt | None, mine: bool, word: Unknown) -> Entry:
    """A cell that was sent, as its folder shows it: the job waits as far as anybody knows, or it has begun."""
    if not mine and not word.over:
        return replace(base, state=State.QUEUED, detail=f"job {base.job}; {word.why}", unknown=word)
    if past and silent.may_live(past) and not word.over:
        said = f"{_where(past)}; {silent.in_words(past.beat)}; {word.why}"
        return replace(base, state=State.UNKNOWN, detail=said, unknown=word, silent=past.beat)
    at = f"{_stopped(base)}; " if past else ""
    return replace(base, state=State.UNKNOWN, detail=f"{at}{word.why}", unknown=word)


def _failed(base: Entry, failure: Failure) -> Entry:
    return replace(base, state=State.FAILED, detail=failure.error, log=failure.log or base.log, cause=failure.cause)


def _unfinished(
    base: Entry, past: Attempt | None, mine: bool, submitted: Submitted | None, fate: EndedJob | None
) -> Entry:
    """A cell that nobody is at: it can go on, or begin, unless its death or the bounds forbid it."""
    asked_to_stop = mine and past is not None and past.ended == "interrupted"
    if past is not None and past.why == Death.STUCK and (mine or fate is None):
        base = replace(base, cause=Death.STUCK)  # Slurm's word of it is that its ranks were killed
    elif fate is not None and not asked_to_stop:
        base = replace(base, cause=of_job(fate, began=mine))
        assert base.cause is not None
        if not POLICY[base.cause].again:
            state = State.CANCELLED if base.cause is Death.CANCELLED else State.FAILED
            code = f" (exit code {fate.code})" if fate.code else ""
            text = "in Slurm" if state is State.CANCELLED else f"{base.cause}: Slurm says {fate.state}{code}"
            return replace(base, state=state, detail=text)
    if given_up := exhausted(base.cell.folder.attempts(), base.cell.config.site, submitted):
        last = f"; last: {base.cause}" if base.cause else ""
        return replace(base, state=State.FAILED, detail=f"gave up: {given_up}{last}", cause=Death.GAVE_UP)
    why = f" ({base.cause})" if base.cause else ""
    if past is not None and past.ended == "lost" and past.error:
        why = f" ({base.cause}: {past.error})" if base.cause else f" ({past.error})"
    if past is None:
        return replace(base, detail=f"its job is gone{why}" if why else "")
    if past.brief:
        why += f"; damaged: {past.brief}"
    return replace(base, state=State.RESUMABLE, detail=_stopped(base) + why)


def _running(base: Entry, past: Attempt, job: HeldJob | None) -> Entry:
    """The entry of a cell that is at an attempt, for all that is known: where, whether Slurm suspended its `job`, and
    since when it makes no progress.
    """
    notes = base.cell.folder.silences(past.number)
    since = silent.silent_since(past, notes)
    suspended = job if job and job.suspended else None
    said = [_where(past), *([SUSPENDED] if suspended else []), *([silent.in_words(since, notes)] if since else [])]
    made = replace(base, state=State.RUNNING, detail="; ".join(said), here=past.here, node=past.node or past.host)
    return replace(made, held=suspended, silent=since)


def _stopped(base: Entry) -> str:
    seen = journal.last(base.cell.folder.journal_file)
    return f"stopped near iteration {seen['iteration']}" if seen else "stopped before its first iterations"


def ledger(cells: Iterable[Cell], jobs: Jobs | None = None) -> list[Entry]:
    """The states of cells. `jobs` is asked once about all that were sent, and once more about those that are held no
    more and left no word; None: nobody is asked.
    """
    # first the jobs, then the folders: what a job left behind before it was over is seen
    every = list(cells)
    sent = {index: record for index, record in enumerate(map(_sent, every)) if record} if jobs else {}
    words = dict(zip(sent, jobs.words(list(sent.values())), strict=True)) if jobs and sent else {}
    entries = [look(cell, words.get(index)) for index, cell in enumerate(every)]
    silent = [i for i, word in words.items() if isinstance(word, EndedJob) and not word.state and _open(entries[i])]
    if silent and jobs is not None:
        for index, fate in zip(silent, jobs.fates([sent[index] for index in silent]), strict=True):
            entries[index] = look(every[index], fate)
    return entries


def _open(entry: Entry) -> bool:
    """Whether it matters how the job of a cell ended, which is held no more: its folder says nothing of an end."""
    return entry.state in (State.NEVER_RUN, State.RESUMABLE, State.RUNNING) or entry.cause is Death.GAVE_UP


def silence(entries: Iterable[Entry]) -> Unknown | None:
    """That the scheduler of this machine does not answer, where that hides what became of a cell's job."""
    return next((entry.unknown for entry in entries if entry.unknown and entry.unknown.silent), None)


def to_run(entry: Entry, retry: str = "none") -> bool:
    """Whether a multirun would submit the cell: what is missing, and what failed or was cancelled only when asked."""
    return entry.state in (State.NEVER_RUN, State.RESUMABLE, *RETRY[retry])


def submitted_jobs(cells: Iterable[Cell], cluster: str) -> list[str]:
    """Ids of the jobs that cells without a result were last submitted as, to that cluster (local, slurm).

    A record that is broken is passed over: the ledger names it.
    """
    records = map(_sent, cells)
    return sorted({record.job for record in records if record and record.cluster == cluster})


def _sent(cell: Cell) -> Submitted | None:
    """What a cell without a result was last submitted as."""
    return None if cell.folder.done else readable(cell.folder.submitted, say=lambda _: None)


def _where(attempt: Attempt) -> str:
    if attempt.brief:
        return f"damaged: {attempt.brief}; {Attempt.REMEDY}"
    return f"on {attempt.node or attempt.host}" + (
        f", job {attempt.job}" if attempt.job else f", process {attempt.pid}"
    )


def _waits(held: HeldJob, number: int) -> str:
    """What a job that has not begun (again) waits for."""
    if held.suspended:
        return f"job {held.job} {SUSPENDED}" + (f" on {held.node}" if held.node else "")
    if held.state != "PENDING":
        word = "starting" if held.state in ("RUNNING", "CONFIGURING") else held.state.lower()
        return f"job {held.job} {word}" + (f" on {held.node}" if held.node else "")
    again = f", queued again after attempt {number}" if number else ""
    reason = f" ({held.reason})" if held.reason not in ("", "None") else ""
    return f"job {held.job}{again}{reason}"
