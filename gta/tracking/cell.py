"""A cell's folder at one moment, put into MLflow's terms: tags, params, points, status. Reads files only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gta import evaluations, journal
from gta.cellfolder import Attempt, BrokenRecord, CellFolder, Failure, Identity, NewOrder, Result, readable
from gta.cellrecords import in_words
from gta.config import Config
from gta.evaluations import Evaluation
from gta.sweep import Sweep
from gta.tracking import keys
from gta.tracking.tags import (
    attempt_tags,
    computed_by,
    evaluation_tags,
    gpu,
    gpu_seconds,
    result_tags,
    started_by,
    timm,
)

_ERROR_LENGTH = 500  # characters of an error that are shown in a list of runs
Found = TypeVar("Found")


class Point(NamedTuple):
    """One value of one metric. `time` in unix seconds."""

    name: str
    value: float
    time: float
    iteration: int


def files_of(folder: CellFolder) -> dict[str, list[int]]:
    """Path in the folder -> [bytes, modification time in ns] of what a sync reads; {} for a cell not yet started.

    "attempts" -> [how many, bytes of the last]: the heartbeat sets an attempt's time, which is no news.
    """
    files: dict[str, list[int]] = {}
    begun = (folder.journal_file, folder.result_file, folder.failure_file)
    for path in (folder.config_file, folder.identity_file, *begun):
        with suppress(OSError):
            stat = path.stat()
            files[path.name] = [stat.st_size, stat.st_mtime_ns]
    if folder.identity_file.name not in files or files.keys().isdisjoint(path.name for path in begun):
        return {}
    for entry in (*_files_below(folder.artifacts_folder), *_files_below(folder.evaluations_folder)):
        with suppress(OSError):
            stat = entry.stat()
            files[entry.path.removeprefix(f"{folder.path}/")] = [stat.st_size, stat.st_mtime_ns]
    with suppress(OSError, BrokenRecord):
        if numbers := folder.attempt_numbers():
            files[folder.attempts_folder.name] = [len(numbers), folder.attempt_file(numbers[-1]).stat().st_size]
    return files


def _files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The files in a folder and its folders, without those that are only being written, or cannot be reached."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            with suppress(OSError):  # a link to itself, say: it costs no other file, and no other cell
                if entry.is_dir():
                    yield from _files_below(Path(entry.path))
                elif entry.is_file() and not entry.name.startswith("."):
                    yield entry


@dataclass(frozen=True, kw_only=True)
class TrackedCell:
    """What a cell's folder held. `files` is older than the rest: what changes later differs from it."""

    folder: CellFolder
    files: dict[str, list[int]]
    identity: Identity
    records: list[journal.Record]
    result: Result | None
    failure: Failure | None  # the one that still counts
    attempts: list[Attempt]  # oldest first
    sweep: Sweep | None  # the one that the cell was last submitted for; None for a grid without a name
    root: str = ""  # the folder of the pictures, as it was last submitted; "" where no config says
    orders: list[NewOrder] = field(default_factory=list)  # of the batches
    evaluated: list[Evaluation] = field(default_factory=list)  # by any protocol
    alive: bool | None = None  # whether a process works on the cell; None: not known

    @classmethod
    def read(cls, folder: CellFolder, alive: bool | None = None, whole: bool = True) -> TrackedCell:
        """Read the folder of a cell that has started. Raises BrokenRecord, or OSError for what cannot be opened; where
        it need not be `whole`, of its result and identity alone.
        """
        files = files_of(folder)
        result = folder.result()  # written last: what is read after it is whole
        identity = folder.identity()
        if identity is None:
            raise BrokenRecord(folder.identity_file, "is not there", "the next multirun of its grid writes it anew")

        def either(read: Callable[[], Found | None]) -> Found | None:
            return read() if whole else readable(read, say=lambda _: None)

        settings = either(folder.settings) or {}
        return cls(
            folder=folder,
            files=files,
            identity=identity,
            records=either(lambda: _records(folder.journal_file)) or [],
            result=result,
            failure=None if result else either(folder.last_failure),
            attempts=either(folder.attempts) or [],
            sweep=_sweep(settings),
            root=_root(settings),
            orders=result.orders if result else either(folder.orders) or [],  # of batches that count
            evaluated=evaluations.all_of(folder, certain=whole),  # what is lacking goes out of MLflow
            alive=alive,
        )

    @property
    def attempt(self) -> Attempt | None:
        """The latest."""
        return self.attempts[-1] if self.attempts else None

    @property
    def signature(self) -> str:
        return self.identity.signature

    @property
    def journal_began(self) -> float | None:
        """When what counts of the journal began, unix seconds: tells two journals of one cell apart, and the points of
        one before and after it was cut back.
        """
        return next(reversed(self.begins), None)

    @property
    def begins(self) -> list[float]:
        """The same of all times that its points counted from, oldest first."""
        return journal.beginnings(self.records)

    @property
    def _first_line(self) -> float | None:
        """When the journal's first line was written."""
        return float(self.records[0]["time"]) if self.records else None

    @property
    def created(self) -> float:
        return self._first_line or self.identity.created

    @property
    def log(self) -> Path | None:
        """The log of rank 0 of the latest attempt, where there is a file of it."""
        path = Path(self.attempt.log) if self.attempt and self.attempt.log else None
        return path if path and path.is_file() else None

    @property
    def artifacts(self) -> dict[str, str]:
        """Name in MLflow -> path in the folder, of what is sent as an artifact."""
        folder = self.folder
        records = [file.name for file in (folder.config_file, folder.identity_file, folder.result_file)]
        below = f"{folder.artifacts_folder.name}/"
        kept = (below, f"{folder.evaluations_folder.name}/")
        return {name.removeprefix(below): name for name in self.files if name in records or name.startswith(kept)}

    def run_name(self) -> str:
        """What a person reads in MLflow's list of runs."""
        cell = self.identity
        return f"{cell.label or cell.method} {cell.ratio} ({cell.labels}) seed {cell.seed} {cell.signature[:8]}"

    def params(self) -> dict[str, str]:
        """The settings that can change a result."""
        return self.identity.params

    def tags(self) -> dict[str, str]:
        """All tags but the cursor and the sweeps."""
        tags = {keys.tag(name): str(getattr(self.identity, name)) for name in keys.CELL_TAGS}
        tags |= {keys.DIGEST + name: digest for name, digest in self.identity.digests.items()}
        if self.journal_began:
            tags[keys.JOURNAL] = repr(self.journal_began)
        if self.attempt is not None:
            tags |= attempt_tags(self.attempt) | computed_by(self.attempts)
        if self.root:
            tags[keys.ROOT] = self.root[: keys.LONGEST]
        if names := gpu(self.records, self.attempts):
            tags[keys.GPU] = names
        if versions := timm(self.records):
            tags[keys.TIMM] = versions
        tags |= started_by(self.sweep, self.attempt)
        for path in (self.folder.previous_checkpoint_file, self.folder.checkpoint_file):
            if path.exists():
                tags[keys.CHECKPOINT] = str(path.absolute())
        if (seconds := gpu_seconds(self.records)) is not None:
            tags[keys.GPU_SECONDS] = f"{seconds:.1f}"
        if words := in_words(self.orders):
            tags[keys.ORDER] = words
        if self.failure is not None:
            tags[keys.ERROR] = self.failure.error[:_ERROR_LENGTH]
        tags |= evaluation_tags(self.evaluated)
        return tags | (result_tags(self.result, tags) if self.result else {})

    def points(self) -> list[Point]:
        """The journal's points in their order, the first of each (name, iteration) only.

        A prefix of this list stays what it is while the journal grows and is not cut back (`journal_began`): its length
        serves as the cursor.
        """
        seen: set[tuple[str, int]] = set()
        points = []
        for record in journal.counted(self.records):
            for name, value in record["values"].items():
                name, iteration = keys.metric(name), int(record["iteration"])
                if (name, iteration) not in seen:
                    seen.add((name, iteration))
                    points.append(Point(name, value, float(record["time"]), iteration))
        return points

    def final_points(self) -> list[Point]:
        """The numbers of the result, or []. Their time is the result's, so that they too count once."""
        result = self.result
        if result is None:
            return []
        values: dict[str, float] = {}
        for network, scores in result.networks.items():
            values[keys.final(network, keys.MIOU_LAST)] = scores.last.miou
            values[keys.final(network, keys.MIOU_BEST)] = scores.best.miou
            values[keys.final(network, "best_iteration")] = float(scores.best.iteration)
        values[keys.MIOU_LAST] = result.miou
        values[keys.MIOU_BEST] = result.scores.best.miou
        iou = dict(zip(keys.class_metrics(result.classes), result.scores.last.iou, strict=False))
        values |= {name: value for name, value in iou.items() if value is not None}
        told = [Point(keys.EVALUATION_MIOU + one.name, one.miou, one.finished, one.iteration) for one in self.evaluated]
        return [*(Point(name, value, result.finished, result.iteration) for name, value in values.items()), *told]

    def status(self) -> tuple[str, float]:
        """MLflow's word for how the cell stands, and when it ended (unix seconds; 0 while it runs)."""
        if self.result is not None:
            return "FINISHED", self.result.finished
        if self.alive:
            return "RUNNING", 0.0
        if self.failure is not None:
            return "FAILED", self.failure.time
        events = [record for record in self.records if record["kind"] == "event"]
        if events and events[-1]["event"] == "stopped":
            return "KILLED", float(events[-1]["time"])
        if self.alive is False:  # it stopped without a word, and can go on: the last word of it is its end
            return "KILLED", float(self.records[-1]["time"]) if self.records else self.created
        return "RUNNING", 0.0


def _records(path: Path) -> list[journal.Record]:
    """The journal's records. Raises BrokenRecord where it has lines and none of them is one."""
    records = journal.read(path)
    if not records and path.exists() and b"\n" in path.read_bytes():
        raise BrokenRecord(path, "has lines, and none is one of a journal", "remove it; its numbers are lost")
    return records


def _root(settings: Mapping[str, Any]) -> str:
    data = settings.get("data")
    return str(data.get("root") or "") if isinstance(data, dict) else ""


def _sweep(settings: Mapping[str, Any]) -> Sweep | None:
    name = settings.get("sweep_name")
    return None if name in (None, "", Config().sweep_name) else Sweep(str(name), str(settings.get("variant") or ""))
