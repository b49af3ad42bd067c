"""What a table, a resume and the best model do not need any more: found first, removed only when told.

Kept always: configs, journals, results, attempts, the logs of the last attempt, and everything of a cell that runs or
waits, or of which a record cannot be read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from gta import locks
from gta.cellfolder import DEAD_SECONDS, BrokenRecord, CellFolder, readable
from gta.config import Config, SiteConfig
from gta.data.private import COMPILED as COMPILED_FOLDER
from gta.data.private import STAGE, place, private_folder_seen
from gta.errors import UserError
from gta.files import age
from gta.tracking.sync_cache import sweeps_of
from launch.show import drills
from launch.slurm import cluster
from launch.state.damage import latest
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry, State
from launch.state.submission import JobNumber, Recorded, job_file, recorded_file

CHECKPOINT = "checkpoints of cells that are done (only `eval` and `predict` with `--which last` would read them)"
BEST = "best models"
TEMPORARY = "temporary files that a killed process left"
JOBS = "folders of jobs that are over, with the logs of earlier attempts"
PICKLES = "submitit's files of jobs that are over"
SUBMISSIONS = "submissions whose jobs are over"
COMPILED = "code that compile=true made on this machine; the next run that wants it compiles anew"
DECODED = "folders of decoded pictures on this machine (site.cache); who wants them decodes them again"
DRILLS = "drills that are over: runs that were kept since they differ, or that a killed drill left"


@dataclass(frozen=True)
class Removable:
    """A file or a folder that can go."""

    path: Path
    size: int  # bytes
    kind: str
    folder: CellFolder | None  # of the cell that it belongs to
    age: str = ""  # in words, where it says whether it may be wanted still


@dataclass
class Removal:
    """What can go, and why the rest stays: reason -> names of cells."""

    pieces: list[Removable] = field(default_factory=list)
    kept: dict[str, list[str]] = field(default_factory=dict)

    def size(self, kind: str | None = None) -> int:
        return sum(piece.size for piece in self.pieces if kind in (None, piece.kind))

    def keep(self, reason: str, name: str) -> None:
        self.kept.setdefault(reason, []).append(name)


def plan(entries: Sequence[Entry], sweep: str, best: bool = False, named: bool = False) -> Removal:
    """What can go of these cells. `best`: the best models of cells that are done, too. `named`: the cells were named
    one by one, so that what another sweep has of them may go as well.
    """
    made = Removal()
    for entry in entries:
        folder, title = entry.cell.folder, f"{entry.cell.title} ({entry.cell.signature[:8]})"
        if not folder.path.exists():
            continue
        if entry.state is State.DAMAGED:
            made.keep("are damaged: nothing of them is touched", f"{title}: {entry.detail}")
            continue
        if entry.state in (State.RUNNING, State.QUEUED):
            made.keep("run or wait: nothing of them is touched", title)
            continue
        sweeps = sweeps_of(folder)
        if sweeps is None and not named:
            made.keep("may belong to another sweep: their mlflow.json cannot be read (sync writes it anew)", title)
            continue
        others = [name for name in sweeps or () if name.partition("/")[0] != sweep]  # a variant is of its own sweep
        if others and not named:
            made.keep(f"also belong to the sweep {', '.join(others)} (name them to clean them too)", title)
            continue
        made.pieces += _of_cell(entry, best)
        if entry.state is not State.DONE and folder.has_checkpoint:
            made.keep("have no result yet: their checkpoints are where they go on from", title)
    return made


def _of_cell(entry: Entry, best: bool) -> Iterator[Removable]:
    folder = entry.cell.folder
    if entry.state is State.DONE:
        yield from _existing([folder.checkpoint_file, folder.previous_checkpoint_file], CHECKPOINT, folder)
        if best:
            yield from _existing([folder.best_file], BEST, folder)
    below = ("attempts/.claim*", "attempts/.*.tmp", "artifacts/**/.*.tmp", "evaluations/.*.tmp")
    for pattern in (".*.tmp", ".rendezvous*", *below):
        left = [path for path in sorted(folder.path.glob(pattern)) if not _just_written(path, folder)]
        yield from _existing(left, TEMPORARY, folder)


def _just_written(path: Path, folder: CellFolder) -> bool:
    """Whether a temporary file may be of an `eval` or a `sync` at work, which no attempt tells of."""
    by_others = path.parent == folder.evaluations_folder or path.name.startswith(f".{folder.sync_cache_file.name}.")
    return by_others and age(path) < DEAD_SECONDS


def of_jobs(sweep: Path, cells: Iterable[CellFolder], held: Mapping[str, HeldJob] | None) -> Iterator[Removable]:
    """What can go of a sweep's folder: of its jobs that are over.

    `cells`: the folders of ALL cells there are, since any of them may have its log here. `held`: what the Slurm of this
    machine holds, which says nothing of another cluster's jobs; None where it cannot be asked, and then nothing can be
    told to be over. Raises BrokenRecord where a cell's record hides which log is its own.
    """
    if held is None:
        return
    wanted = {log.parent for folder in cells for log in _logs(folder)}
    here = cluster.name()
    for folder in sorted((sweep / "jobs").glob("*")):
        job = folder.name
        local = job.isdigit() and psutil.pid_exists(int(job))  # named by the process that started it
        if not re.fullmatch(r"\d+(_\d+)?", job) or local or _held(job, held):
            continue
        if folder in wanted:
            yield from _existing(sorted(folder.glob("*.pkl")), PICKLES, None)
        else:
            yield from _existing([folder], JOBS, None)
    for folder in sorted((sweep / "submissions").glob("*")):
        job_number = readable(partial(JobNumber.read, job_file(folder)), say=lambda _: None)
        recorded = readable(partial(Recorded.read, recorded_file(folder)), say=lambda _: None)
        over = job_number and job_number.cluster_name in ("", here) and not _held(job_number.job, held)
        if recorded and folder not in wanted and (over or not recorded.sent):
            yield from _existing([folder], SUBMISSIONS, None)


def of_drills(runs: Path, signatures: Collection[str], held: Mapping[str, HeldJob] | None, made: Removal) -> None:
    """Add to `made` what drills of these cells left, and those that must stay. `held` as in `of_jobs`."""
    for folder in drills.drills(runs, signatures):
        if why := drills.busy(folder, held):
            made.keep(f"have a drill: {why}", folder.name)
        else:
            made.pieces.append(Removable(folder, size(folder), DRILLS, None, drills.age(folder)))


def of_caches(sites: Iterable[SiteConfig]) -> Iterator[Removable]:
    """The caches of decoded pictures on this machine, of whichever sweep. They may go while cells train."""
    for cache in sorted({site.cache for site in sites if site.cache}):
        from gta.data.cache import cache_folder  # loads what decodes pictures

        try:
            folder = cache_folder(SiteConfig(cache=cache))
        except UserError:  # it means a folder of other machines, or is not safe to touch
            continue
        if folder is not None:
            yield from _existing([folder], DECODED, None)


def of_compiled(configs: Sequence[Config]) -> Iterator[Removable]:
    """What `compile` made on this machine, of whichever sweep. It may go while cells train: they hold what they run."""
    stages, runs = {(STAGE, at) for config in configs if (at := config.site.stage)}, "paths.runs"
    for setting, given in sorted(stages | {(runs, config.paths.runs) for config in configs}):
        try:
            mine = private_folder_seen(Path(given).absolute() if setting == runs else place(given), setting)
        except UserError:  # it means a folder of other machines, or is not safe to touch
            continue
        if mine is not None and not (mine / COMPILED_FOLDER).is_symlink():
            yield from _existing([mine / COMPILED_FOLDER], COMPILED, None)


def _logs(folder: CellFolder) -> set[Path]:
    """The logs that `logs` and `multirun` would show of a cell. Raises BrokenRecord."""
    last, submitted, failure = folder.latest_attempt(), folder.submitted(), folder.failure()
    if last and last.broken:
        raise BrokenRecord(folder.attempt_file(last.number), "hides the cell's log", "remove the cell's folder")
    return {Path(record.log) for record in (last, submitted, failure) if record and record.log}


def _held(job: str, held: Mapping[str, HeldJob]) -> bool:
    """Whether Slurm holds a job, or a task of it."""
    return job in held or any(name.startswith(f"{job}_") for name in held)


def _existing(paths: Iterable[Path], kind: str, cell: CellFolder | None) -> Iterator[Removable]:
    for path in paths:
        if path.exists():
            yield Removable(path, size(path), kind, cell)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum(
        os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(path) for name in names
    )  # fmt: skip


def remove(pieces: Iterable[Removable], held: Mapping[str, HeldJob] | None = None) -> tuple[int, list[str]]:
    """Bytes that are gone, and what could not be removed and why. What was begun meanwhile, a cell or a drill, is left
    alone. `held` as in `of_jobs`.
    """
    gone, problems = 0, []
    for piece in pieces:
        with _locked(piece) as mine:
            if why := _begun(piece, held) if mine else drills.BUSY:
                problems.append(f"{piece.path}: {why}; left alone")
                continue
            try:
                shutil.rmtree(piece.path) if piece.path.is_dir() else piece.path.unlink(missing_ok=True)
            except OSError as error:
                problems.append(f"{piece.path}: {error.strerror}")
            else:
                gone += piece.size
    return gone, problems


def _locked(piece: Removable) -> AbstractContextManager[bool]:
    """The lock of a drill, so that none begins while its folder goes; whether it was had."""
    return locks.lock_within(drills.lock_file(piece.path), 0) if piece.kind == DRILLS else nullcontext(True)


def _begun(piece: Removable, held: Mapping[str, HeldJob] | None) -> str:
    """What works by now on what was found to be over; "" for nothing."""
    if piece.kind == DRILLS:
        return drills.running(piece.path, held)
    last = latest(piece.folder) if piece.folder else None
    return "the cell runs by now" if last is not None and last.alive() else ""
