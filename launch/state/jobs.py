"""What a scheduler can say of a job: it holds it, it is over, or nobody knows. Silence is a word of its own.

`Word` is a union without None, so that a caller must say what it does where nobody knows: wait. A job that no
scheduler was asked about has no word at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gta.cellfolder import Submitted
from gta.errors import UserError

# a job in none of these may still run, or run again; also where the accounting says so long after its end
FINAL = frozenset(
    (
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
        "REVOKED", "TIMEOUT",
    )
)  # fmt: skip


@dataclass(frozen=True)
class HeldJob:
    """A job, or a task of an array, that Slurm holds."""

    job: str  # 57, or 57_3
    state: str  # PENDING, RUNNING, COMPLETING, REQUEUED ...
    reason: str = ""  # why it waits: Priority, Resources, BeginTime ...
    node: str = ""
    name: str = ""
    restarts: int | None = None  # how often Slurm started it before; None: not known
    expected: float | None = None  # when Slurm expects to start one that waits (unix seconds); None: it does not say

    @property
    def suspended(self) -> bool:
        """Whether it has its node and was stopped there, to go on later."""
        return self.state in ("SUSPENDED", "STOPPED")


@dataclass(frozen=True)
class EndedJob:
    """A job that is over: the scheduler answered and does not hold it. `state`: how it ended; empty where nobody was
    asked that, or nobody remembers.
    """

    job: str
    state: str = ""  # COMPLETED, FAILED, TIMEOUT, PREEMPTED, NODE_FAIL, OUT_OF_MEMORY, CANCELLED ...
    code: int = 0
    signal: int = 0
    node: str = ""
    name: str = ""


@dataclass(frozen=True)
class Unknown:
    """Nobody knows: to be waited for, never to be taken for "none". `why` is a clause for people.

    `silent`: the scheduler of this machine does not answer at all, so that nothing can be submitted either. `over`: the
    job is held no more, and only how it ended is not known yet.
    """

    why: str
    silent: bool = False
    over: bool = False


Word = HeldJob | EndedJob | Unknown
Queue = Mapping[str, HeldJob] | Unknown  # all jobs that a scheduler holds, by their ids


class Silent(UserError):
    """Something could not be done because the scheduler does not answer: it is to be tried again, for ever."""

    def __init__(self, unknown: Unknown):
        super().__init__(f"{unknown.why}: nothing more was submitted; try again later.")
        self.unknown = unknown


class Jobs(Protocol):
    """Whoever can be asked about jobs, by what their cells were submitted as."""

    def words(self, sent: Sequence[Submitted]) -> list[Word | None]:
        """Whether each job is held; None for one that is no scheduler's, and not the caller's own."""

    def fates(self, sent: Sequence[Submitted]) -> list[Word]:
        """How jobs that are held no more ended."""
