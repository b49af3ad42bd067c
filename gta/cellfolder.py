"""The folder of one cell, `runs/cells/<signature>/`: its paths, and its records with one reader and one writer each.

    config.yaml        the frozen config              (`settings`; typed by `gta.compose`)
    cell.json          `Identity`    what the cell is, written when it is submitted
    submitted.json     `Submitted`   the job that it was last submitted as
    attempts/0003.json `Attempt`     one start of it: who, where, how it ended; its time stamp is the heartbeat
    journal.jsonl      what the run says (`gta.journal`)
    checkpoint.pt, best.pt           where it goes on, and the best weights of the headline network
    failure.json       `Failure`     why an attempt failed
    cancelled.json     `Cancelled`   who ended it
    result.json        `Result`      written last, at once: it is what "done" means
    artifacts/         confusion matrix and pictures of the last evaluation (`gta.train.artifacts`)
    mlflow.json        what of it was sent to which store (`gta.tracking.sync_cache`)

A record that is absent is None. One that is broken (empty, cut off, not JSON, without a field, of another version)
raises BrokenRecord, which names the file and what to do: commands over many cells say it on that cell's line and go on.
Imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from gta.errors import UserError
from gta.files import write_json

VERSION = 1  # of the records; one without a version is of the first
DEAD_SECONDS = 120.0  # another host's attempt without a heartbeat for so long is dead: generous to clocks and caches


class BrokenRecord(UserError):
    """A record that is there and cannot be read. `path` is the file, `reason` what is wrong with it."""

    def __init__(self, path: Path, reason: str, remedy: str):
        super().__init__(f"{path} {reason}: {remedy}.")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Record:
    """One JSON file of a cell's folder. Unknown fields of a file are passed over."""

    REMEDY: ClassVar[str] = "remove it, and run the command again"

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record at `path`; None where there is none. Raises BrokenRecord, or OSError where it cannot be opened."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise BrokenRecord(path, "is not text", cls.REMEDY) from None
        return cls.parse(path, text)

    @classmethod
    def parse(cls, path: Path, text: str) -> Self:
        """The record that `text` is, as it stands at `path`. Raises BrokenRecord."""
        try:
            values = json.loads(text)
        except ValueError:
            raise BrokenRecord(path, "is not JSON" if text.strip() else "is empty", cls.REMEDY) from None
        if not isinstance(values, dict):
            raise BrokenRecord(path, "is not a JSON object", cls.REMEDY)
        if (version := values.get("version", VERSION)) != VERSION:
            raise BrokenRecord(path, f"is of version {version}, and this program reads {VERSION}", cls.REMEDY)
        try:
            return cls.of(values)
        except KeyError as error:
            raise BrokenRecord(path, f"has no {error.args[0]}", cls.REMEDY) from None
        except (TypeError, ValueError, AttributeError) as error:
            raise BrokenRecord(path, f"does not hold what it should ({error})", cls.REMEDY) from None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From the JSON object; KeyError for a field that is missing and has no default, TypeError for a wrong kind."""
        known: dict[str, Any] = {}
        for item in dataclasses.fields(cls):
            if item.name in values:
                known[item.name] = _checked(item, values[item.name])
            elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                raise KeyError(item.name)
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        """What is written, without the version."""
        return dataclasses.asdict(self)

    def write(self, path: Path) -> None:
        """Write the record to `path`, atomically."""
        write_json(path, {"version": VERSION, **self.as_dict()})


# the kinds that a field's annotation (a text: annotations are postponed) admits
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "dict": (dict,), "list": (list,), "bool": (bool,),
}  # fmt: skip


def _checked(item: dataclasses.Field[Any], value: Any) -> Any:
    """The value of a field, where it is of one of the kinds that are declared; else TypeError."""
    names = [name.strip().partition("[")[0] for name in re.split(r"\|(?![^\[]*\])", str(item.type))]
    if value is None and "None" in names:
        return None
    kinds = tuple(kind for name in names for kind in _KINDS.get(name, ()))
    if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        raise TypeError(f"{item.name} is {value!r}")
    return float(value) if names[0] == "float" else value


@dataclass(frozen=True, kw_only=True)
class Identity(Record):
    """cell.json: what the cell is. `params`: dotted name -> text of every setting that can change a result."""

    REMEDY: ClassVar[str] = "remove it, and submit the cell again (multirun), which writes it anew"

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
class Submitted(Record):
    """submitted.json: the job a cell was last submitted as.

    `after`: attempts up to this number were over then. `tries`: submissions since an attempt last began; `base`:
    attempts up to this number are history by a person's retry, and count no more.
    """

    REMEDY: ClassVar[str] = "see whether a job of the cell is held (squeue), then remove it"

    job: str
    cluster: str  # local, slurm
    log: str
    time: float
    after: int = 0
    tries: int = 1
    base: int = 0


@dataclass(frozen=True, kw_only=True)
class Failure(Record):
    """failure.json: why an attempt failed. `cause` is a word of `launch.state.policy.Death`."""

    REMEDY: ClassVar[str] = "remove it; the cell then goes on from its last checkpoint"

    attempt: int
    error: str
    time: float
    cause: str = "exception"
    rank: int | None = None
    log: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cancelled(Record):
    """cancelled.json: who ended the cell, and as which job."""

    REMEDY: ClassVar[str] = "remove it; the cell then goes on from its last checkpoint"

    time: float
    by: str
    job: str | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """mIoU and IoU by class of one network at one iteration, in percent; None for a class that occurs nowhere."""

    iteration: int
    miou: float
    iou: list[float | None] = field(default_factory=list)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Score:
        return cls(iteration=int(values["iteration"]), miou=float(values["miou"]), iou=list(values.get("iou", ())))

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class NetworkScores:
    """A network's score at the last iteration (the headline), and its best, which the validation set picked."""

    last: Score
    best: Score


@dataclass(frozen=True, kw_only=True)
class Result(Record):
    """result.json: what came of the cell. `headline` is the network whose score is the cell's number."""

    REMEDY: ClassVar[str] = "remove it; the next multirun makes it again from the last checkpoint"

    signature: str
    iteration: int
    headline: str
    evaluation: str
    classes: list[str]
    networks: dict[str, NetworkScores]
    seconds: float
    commit: str | None
    finished: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        networks = {
            name: NetworkScores(last=Score.of(scores["last"]), best=Score.of(scores["best"]))
            for name, scores in values["networks"].items()
        }
        made = super().of({**values, "networks": networks})
        if made.headline not in networks:
            raise ValueError(f"no network {made.headline}")
        return made

    @property
    def scores(self) -> NetworkScores:
        """Of the headline network."""
        return self.networks[self.headline]

    @property
    def miou(self) -> float:
        """The cell's number: of the headline network at the last iteration, in percent."""
        return self.scores.last.miou


@dataclass(frozen=True, kw_only=True)
class Attempt(Record):
    """attempts/NNNN.json: one start of the cell. `launch.state.attempts` claims, keeps and closes it.

    `place`, `pid` and `started` tell the process; `began` and `saved` are iterations; `ended` says how it ended (done,
    failed, interrupted, lost), None while nobody closed it. `environment`: code, versions and machine, as
    `gta.provenance.environment` finds them.
    """

    number: int = 0
    beat: float = 0.0  # when its heartbeat was last seen: the file's own time, not written
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
    environment: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        values = super().as_dict()
        del values["number"], values["beat"]  # the file's name and time
        return values

    @property
    def commit(self) -> str | None:
        return self.environment.get("commit")

    @property
    def here(self) -> bool:
        """Whether it is an attempt on this host, whose processes we can see."""
        return self.place == this_place()

    @property
    def progressed(self) -> bool:
        """Whether it saved a later iteration than the one it began at."""
        return (-1 if self.saved is None else self.saved) > (self.began or 0)

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
            return process_start(self.pid) == self.started
        return time.time() - self.beat < DEAD_SECONDS


@dataclass(frozen=True)
class CellFolder:
    """The paths and records of one cell. Readers give None for what is not there, and raise BrokenRecord."""

    path: Path

    @property
    def signature(self) -> str:
        """The folder's name; a record inside that says another is of another cell."""
        return self.path.resolve().name

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def identity_file(self) -> Path:
        return self.path / "cell.json"

    @property
    def submitted_file(self) -> Path:
        return self.path / "submitted.json"

    @property
    def failure_file(self) -> Path:
        return self.path / "failure.json"

    @property
    def cancelled_file(self) -> Path:
        return self.path / "cancelled.json"

    @property
    def result_file(self) -> Path:
        return self.path / "result.json"

    @property
    def journal_file(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def checkpoint_file(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def best_file(self) -> Path:
        return self.path / "best.pt"

    @property
    def sync_cache_file(self) -> Path:
        return self.path / "mlflow.json"

    @property
    def attempts_folder(self) -> Path:
        return self.path / "attempts"

    @property
    def artifacts_folder(self) -> Path:
        return self.path / "artifacts"

    def attempt_file(self, number: int) -> Path:
        return self.attempts_folder / f"{number:04d}.json"

    @property
    def done(self) -> bool:
        """Whether there is a result, whole or not."""
        return self.result_file.exists()

    @property
    def frozen(self) -> bool:
        """Whether the cell was ever submitted."""
        return self.identity_file.exists()

    def identity(self) -> Identity | None:
        found = Identity.read(self.identity_file)
        if found is not None and found.signature != self.signature:
            raise BrokenRecord(
                self.identity_file, f"is of the cell {found.signature}, not of this folder's", "remove the folder"
            )
        return found

    def submitted(self) -> Submitted | None:
        return Submitted.read(self.submitted_file)

    def failure(self) -> Failure | None:
        """The failure that was last written down, of whichever attempt."""
        return Failure.read(self.failure_file)

    def failure_of(self, attempt: int) -> Failure | None:
        """The failure of the attempt of that number (0: before any was claimed); one of another is history."""
        found = self.failure()
        return found if found is not None and found.attempt == attempt else None

    def last_failure(self) -> Failure | None:
        """The failure that still counts: that of the latest attempt."""
        last = self.latest_attempt()
        return self.failure_of(last.number if last else 0)

    def cancelled(self) -> Cancelled | None:
        """Who ended the cell, where that is later than its last submission."""
        found = Cancelled.read(self.cancelled_file)
        if found is None:
            return None
        submitted = self.submitted()
        return None if submitted is not None and found.time <= submitted.time else found

    def result(self) -> Result | None:
        found = Result.read(self.result_file)
        if found is not None and found.signature != self.signature:
            raise BrokenRecord(self.result_file, f"is of the cell {found.signature}, not of this one", Result.REMEDY)
        return found

    def settings(self) -> dict[str, Any] | None:
        """The frozen config as plain Python; None where there is none. Raises BrokenRecord."""
        import yaml

        try:
            text = self.config_file.read_text(encoding="utf-8")
            found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, yaml.YAMLError):
            found = None
        if not isinstance(found, dict):
            raise BrokenRecord(self.config_file, "is not the config of a cell", Identity.REMEDY)
        return found

    def attempt_numbers(self) -> list[int]:
        """Numbers of the attempts, oldest first."""
        try:
            names = os.listdir(self.attempts_folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(name.removesuffix(".json")) for name in names if re.fullmatch(r"\d+\.json", name))

    def attempt(self, number: int) -> Attempt | None:
        """The attempt of that number; None where there is none. A broken record (lost in a crash of the machine) is an
        attempt of an unknown host: its number still counts, and its heartbeat ages.
        """
        path = self.attempt_file(number)
        try:
            beat = path.stat().st_mtime
            found = Attempt.read(path)
        except BrokenRecord:
            found = Attempt()
        except OSError:  # on its way in or out on a network file system: the next look will see it
            return None
        return found and dataclasses.replace(found, number=number, beat=beat)

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        return [found for number in self.attempt_numbers() if (found := self.attempt(number)) is not None]

    def latest_attempt(self) -> Attempt | None:
        for number in reversed(self.attempt_numbers()):
            if (found := self.attempt(number)) is not None:
                return found
        return None


def cell_folders(runs: Path) -> list[CellFolder]:
    """The folders of all cells below a folder of runs that were ever submitted, by signature."""
    return [CellFolder(path.parent) for path in sorted((runs / "cells").glob("*/cell.json"))]


def this_place() -> str:
    """This host and process namespace: where a pid means the same process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        boot, namespace = "", ""
    return f"{socket.gethostname()}:{boot}:{namespace}"


def process_start(pid: int) -> str | None:
    """When a process started (clock ticks since boot), or None where there is none: tells a reused pid apart.

    Ticks and not a time of day (as psutil gives it): that moves when the clock is set, and a living attempt would be
    taken for dead.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]  # a zombie does nothing any more
