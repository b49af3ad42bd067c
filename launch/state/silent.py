"""Since when a cell that was begun makes no progress, and what is said of it: by the watchdogs of its ranks, or by a
heartbeat that stays away.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from gta.cellfolder import Attempt, Silence
from gta.cellrecords import DEAD_SECONDS
from launch.state.jobs import HeldJob

SILENT_SECONDS = 60.0  # without a heartbeat of a process that is there


def silent_since(past: Attempt, notes: Sequence[Silence]) -> float | None:
    """Since when an attempt that is not over is silent (unix seconds), where that is long; None where it is not."""
    first = min((note.since for note in notes if note.rank == 0), default=None)
    if first is None and time.time() - past.beat >= (SILENT_SECONDS if past.here else DEAD_SECONDS):
        first = past.beat
    return first


def may_live(past: Attempt | None) -> bool:
    """Whether an attempt without a heartbeat may be a process that goes on one day: nobody closed it, and it is on a
    host whose processes cannot be seen from here.
    """
    return past is not None and past.ended is None and not past.broken and not past.here


def of_this_start(past: Attempt, job: HeldJob) -> bool:
    """Whether an attempt in a job belongs to the job's present start, and not to one before Slurm requeued it."""
    return past.restart is None or job.restarts is None or past.restart >= job.restarts


def in_words(first: float, notes: Sequence[Silence] = ()) -> str:
    """Such as "silent since 13:05 (12 min)", with the ranks that do not even run."""
    hanging = [f"rank {note.rank} on {note.host} (process {note.pid}) {note.process}" for note in notes if note.hangs]
    return "; ".join([f"silent since {moment(first)} ({_long(time.time() - first)})", *hanging])


def moment(seconds: float) -> str:
    """A moment: the time of today, or the day with it."""
    moment, today = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M" if moment[:3] == today[:3] else "%d %B, %H:%M", moment)


def _long(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 48 * 60 else f"{minutes // 1440} days"
