"""scontrol about jobs that wait: held, let go, put in front. Each job by itself, so that each has an answer of its own.

A task of an array is named as one (57_3): Slurm parts it from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gta import progress
from launch.slurm import commands as slurm
from launch.state.jobs import HeldJob, Unknown

Answers = dict[str, str]  # job -> what came of it, in a few words
REFUSED = "Slurm refuses that"
_BACK = ("REQUEUE_HOLD", "SPECIAL_EXIT")  # held on their way back into the queue


def hold(jobs: Mapping[str, str]) -> Answers | Unknown:
    """Jobs (id -> name) that wait do so until they are released, by their owner or whoever may."""
    return _each(jobs, "held", _pending, lambda job: ("uhold", job))


def release(jobs: Mapping[str, str]) -> Answers | Unknown:
    """Jobs (id -> name) that were held may start."""
    return _each(jobs, "released", _waiting, lambda job: ("release", job))


def prioritise(jobs: Mapping[str, str], priority: int) -> Answers | Unknown:
    """Jobs (id -> name) that wait get this priority of Slurm's: most clusters let users only lower it."""
    words = f"Priority={priority}"
    return _each(jobs, f"priority {priority}", _pending, lambda job: ("update", f"JobId={job}", words))


def _pending(job: HeldJob) -> bool:
    return job.state == "PENDING"


def _waiting(job: HeldJob) -> bool:
    return _pending(job) or job.state in _BACK


def _each(
    jobs: Mapping[str, str], done: str, fits: Callable[[HeldJob], bool], words: Callable[[str], tuple[str, ...]]
) -> Answers | Unknown:
    """What came of a command for each job, where Slurm holds it under its name at this moment, and it waits: an id may
    be another job's by now. Unknown where Slurm falls silent: of those before it all is done.
    """
    held = slurm.queue()
    if isinstance(held, Unknown):
        return held
    said: Answers = {}
    for job, name in progress.steps(jobs.items(), "asking Slurm", len(jobs)):
        found = held.get(job)
        if found is None or found.name != name:
            said[job] = "over meanwhile"
        elif not fits(found):
            said[job] = f"it is {found.state.lower()} and waits no more"
        else:
            against = slurm.scontrol(*words(job))
            if isinstance(against, Unknown):
                return against
            said[job] = f"{REFUSED} ({against})" if against else done
    return said
