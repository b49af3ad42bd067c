"""The records of a cell's folder, as types. `gta.cellfolder` says which file each is, and reads them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from types import NoneType
from typing import Any, ClassVar

from gta.jsonrecord import REPAIR, JsonRecord
from gta.processes import process_start, this_place

DEAD_SECONDS = 120.0  # another host's attempt without a heartbeat for so long is dead: generous to clocks and caches


class Death(StrEnum):
    """Why an attempt ended without a result. `launch.state.policy` says what becomes of the cell."""

    EXCEPTION = "exception"
    DIVERGED = "diverged"
    MEMORY = "out of memory"
    TIME_LIMIT = "time limit"
    PREEMPTED = "preempted"
    NODE_FAILURE = "node failure"
    VANISHED = "vanished"
    STUCK = "stuck"
    CANCELLED = "cancelled"
    GAVE_UP = "gave up"

    @classmethod
    def _missing_(cls, value: object) -> Death | None:
        """A cause that a newer version wrote waits for a person, as an exception does; the error's line says more."""
        return cls.EXCEPTION if isinstance(value, str) else None


@dataclass(frozen=True, kw_only=True)
class Identity(JsonRecord):
    """cell.json: what the cell is. `params`: dotted name -> text of every setting that can change a result."""

    REMEDY: ClassVar[str] = REPAIR

    signature: str
    method: str
    label: str
    dataset: str
    split: str
    split_family: str
    labels: int
    unlabeled: int
    val: int
    ratio: str
    seed: int
    digests: dict[str, str]
    params: dict[str, str]
    list: str = "unknown list"
    created: float = 0.0

    @property
    def title(self) -> str:
        return f"{self.label} {self.split} seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Submitted(JsonRecord):
    """submitted.json: the job a cell was last submitted as.

    `after`: attempts up to this number were over then. `tries`: submissions since an attempt last began; `base`:
    attempts up to this number are history by a person's retry, and count no more. `name` and `cluster_name`: the job's
    and Slurm's, since ids come round again, and another cluster has the same ones; empty where they are not known.
    """

    REMEDY: ClassVar[str] = REPAIR

    job: str
    cluster: str  # local, slurm
    log: str
    time: float
    after: int = 0
    tries: int = 1
    base: int = 0
    name: str = ""
    cluster_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure(JsonRecord):
    """failure.json: why an attempt failed."""

    REMEDY: ClassVar[str] = REPAIR

    attempt: int  # 0: before any was claimed
    error: str
    time: float
    cause: Death = Death.EXCEPTION
    rank: int | None = None
    log: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cancelled(JsonRecord):
    """cancelled.json: who ended the cell, and as which job."""

    REMEDY: ClassVar[str] = REPAIR

    time: float
    by: str
    job: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    """That the batches are drawn otherwise from an iteration on: in the order of that `number` (from 1; 0 is the first,
    which the seed alone says). `iteration` is None until training goes on with it. `asked`: when, `by` whom.
    """

    number: int
    iteration: int | None = None
    asked: float = 0.0
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Orders(JsonRecord):
    """order.json: the new orders of the batches that a person asked for, since the cell had diverged; oldest first."""

    REMEDY: ClassVar[str] = REPAIR

    orders: list[NewOrder]

    @property
    def waiting(self) -> bool:
        """Whether one is asked for that training has not begun with."""
        return any(order.iteration is None for order in self.orders)


def in_words(orders: Iterable[NewOrder]) -> str:
    """order 1 from iteration 400, order 2 from iteration 600; of those that training went on with."""
    begun = [order for order in orders if order.iteration is not None]
    return ", ".join(f"order {order.number} from iteration {order.iteration}" for order in begun)


@dataclass(frozen=True, kw_only=True)
class Score:
    """mIoU and IoU by class of one network at one iteration, in percent; None for a class that occurs nowhere."""

    iteration: int
    miou: float
    iou: list[float | None] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class NetworkScores:
    """A network's score at the last iteration (the headline), and its best, which the validation set picked."""

    last: Score
    best: Score


@dataclass(frozen=True, kw_only=True)
class Result(JsonRecord):
    """result.json: what came of the cell. `headline` is the network whose score is the cell's number."""

    REMEDY: ClassVar[str] = REPAIR

    signature: str
    iteration: int
    headline: str
    evaluation: str
    classes: list[str]
    networks: dict[str, NetworkScores]
    seconds: float
    commit: str | None
    finished: float
    orders: list[NewOrder] = field(default_factory=list)  # of the batches, where it was not the first alone

    def __post_init__(self) -> None:
        if self.headline not in self.networks:
            raise ValueError(f"no network {self.headline}")

    @property
    def scores(self) -> NetworkScores:
        """Of the headline network."""
        return self.networks[self.headline]

    @property
    def miou(self) -> float:
        """The cell's number: of the headline network at the last iteration, in percent."""
        return self.scores.last.miou


@dataclass(frozen=True, kw_only=True)
class Attempt(JsonRecord):
    """attempts/NNNN.json: one start of the cell. `launch.state.attempts` claims, keeps and closes it.

    `place`, `pid` and `started` tell the process; `began` and `saved` are iterations; `ended` says how it ended (done,
    failed, interrupted, lost), None while nobody closed it. `gpus`, and `cores` where it uses no GPU: what it holds, a
    share of one where cells are packed; both None in a record of an older version. `environment`: code, versions and
    machine, as `gta.provenance.environment` finds them.
    """

    REMEDY: ClassVar[str] = (
        f"it counts as one of an unknown host, which is dead when its file is {DEAD_SECONDS:.0f} s old"
    )
    UNWRITTEN: ClassVar[frozenset[str]] = frozenset({"number", "beat", "broken", "brief"})

    number: int = 0
    beat: float = 0.0  # when its heartbeat was last seen: the file's own time
    broken: str | None = None  # what is wrong with its file, where that is not known to be a record
    brief: str = ""  # the same in a few words
    place: str = ""
    host: str = "an unknown host"
    pid: int = 0
    started: str | None = None
    time: float | None = None
    job: str | None = None
    restart: int | None = None  # how often Slurm had started the job before
    log: str | None = None
    node: str | None = None
    began: int | None = None
    saved: int | None = None
    ended: str | None = None
    end_time: float | None = None
    why: str | None = None
    error: str | None = None
    gpus: float | None = None
    cores: float | None = None
    environment: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.environment.get("commit"), (str, NoneType)):
            raise TypeError("environment.commit is no text")
        gpus = self.environment.get("gpus")
        if gpus is not None and not (isinstance(gpus, list) and all(isinstance(name, str) for name in gpus)):
            raise TypeError("environment.gpus is no list of names")

    @property
    def commit(self) -> str | None:
        found: str | None = self.environment.get("commit")
        return found

    @property
    def here(self) -> bool:
        """Whether it is an attempt on this host, whose processes we can see."""
        return self.place == this_place()

    @property
    def progressed(self) -> bool:
        """Whether it saved a later iteration than the one it began at."""
        return (-1 if self.saved is None else self.saved) > (self.began or 0)

    @property
    def lasted(self) -> float | None:
        """Seconds from its beginning to its end, or to its last heartbeat; None where its record does not say."""
        return None if self.time is None else max(0.0, (self.end_time or self.beat) - self.time)

    def of_requeued(self, job: str | None, restart: int | None) -> bool:
        """Whether the attempt belongs to an earlier start of this Slurm job."""
        if job is None or self.job != job or restart is None:
            return False
        return (restart if self.restart is None else self.restart) < restart

    def alive(self) -> bool:
        """Whether a process still works on it: known at once on this host, by the heartbeat on another."""
        if self.ended is not None:
            return False
        if self.here:
            return self.started is not None and process_start(self.pid) == self.started
        return time.time() - self.beat < DEAD_SECONDS


@dataclass(frozen=True, kw_only=True)
class Silence(JsonRecord):
    """attempts/NNNN.silent-R.json: rank R of the attempt makes no progress, since when (`launch.job.watching`); it goes
    away with the silence. `process`: what the kernel says of the process; `over`: it is ended for it.
    """

    since: float
    rank: int
    host: str
    pid: int
    process: str = ""
    over: bool = False

    @property
    def hangs(self) -> bool:
        """Whether the process does not even run: the others wait for it."""
        return self.process.startswith(("is stopped", "waits for"))
