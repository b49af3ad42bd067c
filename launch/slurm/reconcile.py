"""The ledger of a grid, with what schedulers say: one squeue, and one sacct where jobs ended without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gta.cellfolder import Submitted
from launch.slurm import cluster
from launch.slurm import commands as slurm
from launch.slurm.answers import Accounts, Answers, Known, NewAnswers
from launch.state.jobs import FINAL, EndedJob, HeldJob, Unknown, Word
from launch.state.ledger import Entry, ledger
from launch.state.submission import Submission

if TYPE_CHECKING:
    from gta.cell import Cell


def reconcile(
    cells: Sequence[Cell], local: Mapping[str, HeldJob] | None = None, answers: Answers | None = None
) -> list[Entry]:
    """The states of cells. `local`: the caller's own jobs on this machine; `answers`: Slurm's, if not new ones.

    Where cells were sent to Slurm and it does not answer, their entries say so (`Entry.unknown`).
    """
    return ledger(cells, SlurmAndHere(local or {}, answers or NewAnswers()))


class SlurmAndHere:
    """Slurm's jobs, by its programs, and the caller's own on this machine. The controller is asked first, and once: it
    knows at once what the accounting learns later.
    """

    def __init__(self, local: Mapping[str, HeldJob], answers: Answers):
        self._local = local
        self._answers = answers
        self._known: Known = {}
        self._here: str | None = None

    def words(self, sent: Sequence[Submitted]) -> list[Word | None]:
        """As `launch.state.jobs.Jobs`: by one squeue, where any was sent to Slurm."""
        if any(one.cluster == "slurm" for one in sent):
            self._known = self._answers.remembered()
            self._here = where(sent)
        return [
            word(one, self._known, self._here) if one.cluster == "slurm" else self._local.get(one.job) for one in sent
        ]

    def _word(self, one: Submitted) -> Word:
        return word(one, self._known, self._here)

    def fates(self, sent: Sequence[Submitted]) -> list[Word]:
        """As `launch.state.jobs.Jobs`: by one sacct, where the controller has forgotten any."""
        words = [self._word(one) for one in sent]
        forgotten = {said.job for said in words if isinstance(said, EndedJob) and not said.state}
        accounts = self._answers.accounted(forgotten) if forgotten else {}
        pairs = zip(sent, words, strict=True)
        return [_accounted(one, accounts) if one.job in forgotten else said for one, said in pairs]


def _accounted(sent: Submitted, accounts: Accounts) -> EndedJob | Unknown:
    """How a job ended that the controller has forgotten, as the accounting has it."""
    if isinstance(accounts, Unknown):
        return Unknown(f"job {sent.job} is over, and how it ended is not known: {accounts.why}", over=True)
    said = accounts.get(sent.job)
    if said is None or not ours(said, sent):
        return EndedJob(sent.job)
    if said.state in FINAL:
        return said
    return Unknown(f"job {sent.job} is over, and the accounting still calls it {said.state}", over=True)


def find(made: Submission) -> str | Unknown | None:
    """The id of the job of a submission that has no record; None where it was never sent."""
    here = cluster.name() if made.cluster_name else None
    elsewhere = _elsewhere(made.cluster_name, f"the submission {made.name}", here)
    return elsewhere or slurm.find_job(made.name)


def where(sent: Iterable[Submitted | None]) -> str | None:
    """The name of this cluster, for `word`: asked once, and only where a job's is on record."""
    return cluster.name() if any(one and one.cluster_name for one in sent) else None


def word(sent: Submitted, known: Known, here: str | None) -> Word:
    """What Slurm says of a cell's job: held, over, or unknown. One of another cluster is unknown on this one.

    `known`: the jobs that the controller holds, and maybe those that it remembers; `here`: as of `where`.
    """
    if isinstance(known, Unknown):
        return known
    if elsewhere := _elsewhere(sent.cluster_name, f"job {sent.job}", here):
        return elsewhere
    found = known.get(sent.job)
    return found if found and ours(found, sent) else EndedJob(sent.job)


def _elsewhere(cluster_name: str, what: str, here: str | None) -> Unknown | None:
    """Why this cluster cannot tell: the job is another one's. None where it can, or nobody noted whose it is."""
    if not cluster_name:
        return None
    if here is None:
        return Unknown("Slurm does not answer (scontrol)", silent=True)
    return Unknown(f"{what} is one of the cluster {cluster_name}, and this is {here}") if here != cluster_name else None


def ours(job: HeldJob | EndedJob, sent: Submitted) -> bool:
    """Whether a job is the one that was sent, and not another that has its id by now."""
    return not sent.name or not job.name or job.name == sent.name
