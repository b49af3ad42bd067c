"""What becomes of a cell whose attempt died: one cause, one policy. As a table: docs/explanation/nothing-lost.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gta.cellfolder import Attempt, Death, Submitted
from gta.config import SiteConfig
from launch.state.jobs import EndedJob


@dataclass(frozen=True)
class Policy:
    """`again`: the next reconciliation submits the cell by itself; otherwise only when asked (retry)."""

    again: bool
    advice: str


POLICY = {
    Death.EXCEPTION: Policy(False, "mend the cause, then run it again with `gta retry`"),
    Death.DIVERGED: Policy(
        False,
        "`gta retry --new-order` goes on from its last checkpoint with other batches; or choose a lower schedule.lr",
    ),
    Death.MEMORY: Policy(False, "give it more memory (`gta retry --oom --mem 64`), or a smaller batch a GPU"),
    Death.TIME_LIMIT: Policy(True, "requeued by the job itself; else submitted again, and goes on"),
    Death.PREEMPTED: Policy(True, "requeued by Slurm; submitted again where PreemptMode is CANCEL; goes on"),
    Death.NODE_FAILURE: Policy(
        True, "requeued by Slurm; waiting jobs keep away from a node that failed twice; goes on"
    ),
    Death.VANISHED: Policy(True, "submitted again, and goes on from its last checkpoint"),
    Death.STUCK: Policy(True, "made no progress (see the stacks in its logs); submitted again, and goes on"),
    Death.CANCELLED: Policy(False, "somebody cancelled it; `gta retry` submits it again"),
    Death.GAVE_UP: Policy(False, "look at its log (`gta logs CELL`), then `gta retry`"),
}


def with_cause(cause: Death | None, error: str) -> str:
    """An error's line, with its cause in front where it does not name that itself."""
    return f"{cause}: {error}" if cause and str(cause) not in error else error


NO_LOG = 53  # Slurm's "signal" of a job whose output it could not write

_STATES = {
    "TIMEOUT": Death.TIME_LIMIT,
    "DEADLINE": Death.TIME_LIMIT,
    "PREEMPTED": Death.PREEMPTED,
    "NODE_FAIL": Death.NODE_FAILURE,
    "BOOT_FAIL": Death.NODE_FAILURE,
    "OUT_OF_MEMORY": Death.MEMORY,
    "CANCELLED": Death.CANCELLED,
    "REVOKED": Death.CANCELLED,
}


# what is said where memory runs out by exceptions that are no MemoryError: torch's on a CPU, CUDA's libraries', the
# kernel's (ENOMEM), C++'s
_NO_MEMORY = re.compile(
    r"can(?:no|')t allocate memory|not enough memory|out of memory|alloc_failed|bad_alloc|unable to allocate",
    re.IGNORECASE,
)


def of_exception(error: BaseException) -> Death:
    """The cause that an exception inside a cell is."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "Diverged" in names:
        return Death.DIVERGED
    if names & {"OutOfMemoryError", "MemoryError"}:
        return Death.MEMORY
    said = isinstance(error, (RuntimeError, OSError)) and _NO_MEMORY.search(str(error))
    return Death.MEMORY if said else Death.EXCEPTION


def of_job(ended: EndedJob, began: bool) -> Death:
    """The cause of a job that is over and left neither a result nor a word; `began`: an attempt was claimed in it. Only
    of a final word: one that is not says nothing yet (`launch.state.jobs.Unknown`).

    A job that fails before its cell begins, by an exit code of its own, fails again (a wrong setup line, no Python):
    that counts as an exception. Killed, or forgotten by Slurm, it has vanished.
    """
    if ended.state in _STATES:
        return _STATES[ended.state]
    alone = ended.signal in (0, NO_LOG) and ended.code < 128
    if ended.state == "FAILED" and not began and alone:
        return Death.EXCEPTION
    return Death.VANISHED


def exhausted(history: Sequence[Attempt], site: SiteConfig, submitted: Submitted | None) -> str | None:
    """Why a cell with these attempts is not to be tried again, or None: it ends loops of requeues and deaths that come
    to nothing. The folder counts, not Slurm.

    Attempts up to the last asked retry (`Submitted.base`) do not count; nor, as idle ones, those that were asked to
    stop and did.
    """
    counting = [attempt for attempt in history if attempt.number > (submitted.base if submitted else 0)]
    if len(counting) >= site.max_attempts:
        return f"{len(counting)} attempts (site.max_attempts)"
    idle = 0
    for attempt in reversed(counting):
        if attempt.progressed or attempt.ended == "interrupted":
            break
        idle += 1
    if idle >= site.max_idle_attempts:
        return f"{idle} attempts without progress (site.max_idle_attempts)"
    if submitted is None or (history and history[-1].number > submitted.after):
        return None
    if submitted.tries >= site.max_idle_attempts:
        return f"submitted {submitted.tries} times and never begun (site.max_idle_attempts)"
    return None
