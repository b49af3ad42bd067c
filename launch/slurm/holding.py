"""scontrol about jobs that wait: held, let go, put in front. Many at once; each by itself where Slurm refuses some, so
that each has an answer of its own.

A task of an array is named as one (57_3): Slurm parts it from the others. `queue`: the jobs that Slurm holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from gta import progress
from launch.slurm import commands as slurm
from launch.slurm.reasons import held, plain
from launch.state.jobs import HeldJob, Unknown

Answers = dict[str, str | Unknown]  # job -> what came of it, in a few words; Unknown: Slurm fell silent before
Waiting = dict[str, HeldJob]
REFUSED = "Slurm refuses that"
TOGETHER = 500  # jobs of one command line
_FOR_NOW = "not persistent"  # what who is no operator is told of a priority that was set all the same
_BEGAN = "no longer pending"


def hold(jobs: Mapping[str, str], queue: Mapping[str, HeldJob]) -> Answers:
    """Jobs (id -> name) that wait do so until they are released, by their owner or whoever may."""
    waiting, said = _waiting(jobs, queue)
    back: Answers = {job: "held already" for job, found in waiting.items() if found.state != "PENDING"}
    rest = {job: found for job, found in waiting.items() if job not in back}
    return {**said, **back, **_told(rest, "held", lambda ids: ("uhold", ids))}


def release(jobs: Mapping[str, str], queue: Mapping[str, HeldJob]) -> Answers:
    """Jobs (id -> name) that were held may start. Those that were not are told of, too: while a job waits for another
    one its reason may hide that it is held.
    """
    waiting, said = _waiting(jobs, queue)
    told = _released(waiting)
    free = [job for job, found in waiting.items() if told[job] == "released" and not held(found)]
    return {**said, **told, **{job: f"was not held: {plain(waiting[job].reason)}" for job in free}}


def prioritise(jobs: Mapping[str, str], queue: Mapping[str, HeldJob], priority: int) -> Answers:
    """Jobs (id -> name) that wait get this priority of Slurm's, after they were released: only an operator may give one
    to a job that is held. Most clusters let users only lower it.
    """
    waiting, said = _waiting(jobs, queue)
    told = _released(waiting)
    free = {job: found for job, found in waiting.items() if told[job] == "released"}
    set_to = _told(free, f"priority {priority}", lambda ids: ("update", f"JobId={ids}", f"Priority={priority}"))
    return {**said, **told, **set_to}


def _waiting(jobs: Mapping[str, str], queue: Mapping[str, HeldJob]) -> tuple[Waiting, Answers]:
    """Those of the jobs that Slurm holds under their names (an id may be another job's by now) and that wait; what is
    to be said of the others.
    """
    waiting: Waiting = {}
    said: Answers = {}
    for job, name in jobs.items():
        found = queue.get(job)
        if found is None or found.name != name:
            said[job] = "over meanwhile"
        elif found.state == "PENDING" or held(found):
            waiting[job] = found
        else:
            said[job] = _begun(found)
    return waiting, said


def _begun(job: HeldJob) -> str:
    return f"it is {job.state.lower()} and waits no more"


def _released(jobs: Waiting) -> Answers:
    return _told(jobs, "released", lambda ids: ("release", ids))


def _told(jobs: Waiting, done: str, words: Callable[[str], tuple[str, ...]]) -> Answers:
    """What came of a command for each job. Where Slurm falls silent, those before have their answers."""
    said: Answers = {}
    for job, against in progress.steps(_against(list(jobs), words), "asking Slurm", len(jobs)):
        if isinstance(against, Unknown):
            return dict.fromkeys(jobs, against) | said
        said[job] = _came(against, done)
    return said


def _against(jobs: Sequence[str], words: Callable[[str], tuple[str, ...]]) -> Iterator[tuple[str, str | Unknown]]:
    """What Slurm has against a command for each job: of many at once; each by itself where that says something."""
    for start in range(0, len(jobs), TOGETHER):
        some = jobs[start : start + TOGETHER]
        against = slurm.scontrol(*words(",".join(some)))
        alone = bool(against) and not isinstance(against, Unknown) and len(some) > 1
        for job in some:
            yield job, slurm.scontrol(*words(job)) if alone else against


def _came(against: str, done: str) -> str:
    """What came of it, by what Slurm has against it."""
    if _FOR_NOW in against:
        return f"{done} for now: Slurm may work it out anew ({against})"
    if _BEGAN in against:
        return "it began meanwhile and waits no more"
    return f"{REFUSED} ({against})" if against else done
