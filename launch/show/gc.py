"""What a table, a resume and the best model do not need any more: found first, removed only when told.

Kept always: configs, journals, results, attempts, the logs of the last attempt, and everything of a cell that runs or
waits.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launch.state import attempts
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry, State, read_json

CHECKPOINT = "checkpoints of cells that are done (only `eval` and `predict` with which=last would read them)"
BEST = "best models"
TEMPORARY = "temporary files that a killed process left"
JOBS = "folders of jobs that are over, with the logs of earlier attempts"
PICKLES = "submitit's files of jobs that are over"
SUBMISSIONS = "submissions whose jobs are over"


@dataclass(frozen=True)
class Piece:
    """A file or a folder that can go."""

    path: Path
    size: int  # bytes
    kind: str
    folder: Path | None  # of the cell that it belongs to


@dataclass
class Plan:
    """What can go, and why the rest stays: reason -> names of cells."""

    pieces: list[Piece] = field(default_factory=list)
    kept: dict[str, list[str]] = field(default_factory=dict)

    def size(self, kind: str | None = None) -> int:
        return sum(piece.size for piece in self.pieces if kind in (None, piece.kind))

    def keep(self, reason: str, name: str) -> None:
        self.kept.setdefault(reason, []).append(name)


def plan(entries: Sequence[Entry], sweep: str, best: bool = False, named: bool = False) -> Plan:
    """What can go of these cells. `best`: the best models of cells that are done, too. `named`: the cells were named
    one by one, so that what another sweep has of them may go as well.
    """
    made = Plan()
    for entry in entries:
        folder, title = entry.cell.folder, f"{entry.cell.title} ({entry.cell.signature[:8]})"
        if not folder.exists():
            continue
        if entry.state in (State.RUNNING, State.QUEUED):
            made.keep("run or wait: nothing of them is touched", title)
            continue
        others = [name for name in sweeps_of(folder) if name != sweep]
        if others and not named:
            made.keep(f"also belong to the sweep {', '.join(others)} (name them to clean them too)", title)
            continue
        made.pieces += _of_cell(entry, best)
        if entry.state is not State.DONE and (folder / "checkpoint.pt").exists():
            made.keep("have no result yet: their checkpoints are where they go on from", title)
    return made


def _of_cell(entry: Entry, best: bool) -> Iterator[Piece]:
    folder = entry.cell.folder
    if entry.state is State.DONE:
        yield from _existing([folder / "checkpoint.pt"], CHECKPOINT, folder)
        if best:
            yield from _existing([folder / "best.pt"], BEST, folder)
    for pattern in (".*.tmp", ".rendezvous*", "attempts/.claim*", "attempts/.*.tmp", "artifacts/**/.*.tmp"):
        yield from _existing(sorted(folder.glob(pattern)), TEMPORARY, folder)


def of_jobs(sweep: Path, cells: Iterable[Path], held: Mapping[str, HeldJob] | None) -> Iterator[Piece]:
    """What can go of a sweep's folder: of its jobs that are over.

    `cells`: the folders of ALL cells there are, since any of them may have its log here. `held`: what Slurm holds; None
    where it cannot be asked, and then nothing can be told to be over.
    """
    if held is None:
        return
    logs = {log for folder in cells for log in _logs(folder)}
    wanted = {log.parent for log in logs}
    for folder in sorted((sweep / "jobs").glob("*")):
        job = folder.name
        local = job.isdigit() and Path(f"/proc/{job}").exists()  # named by the process that started it
        if not re.fullmatch(r"\d+(_\d+)?", job) or local or _held(job, held):
            continue
        if folder in wanted:
            yield from _existing(sorted(folder.glob("*.pkl")), PICKLES, None)
        else:
            yield from _existing([folder], JOBS, None)
    for folder in sorted((sweep / "submissions").glob("*")):
        number = (_json(folder / "job.json") or {}).get("job")
        sent = (_json(folder / "recorded.json") or {}).get("sent", True)
        recorded = (folder / "recorded.json").exists()
        if recorded and (not sent or (number and not _held(str(number), held))):
            yield from _existing([folder], SUBMISSIONS, None)


def _logs(folder: Path) -> set[Path]:
    """The logs that `logs` and `multirun` would show of a cell."""
    last = attempts.latest(folder)
    written = [
        last.fields.get("log") if last else None,
        (_json(folder / "submitted.json") or {}).get("log"),
        (_json(folder / "failure.json") or {}).get("log"),
    ]
    return {Path(log) for log in written if log}


def _json(path: Path) -> dict[str, str] | None:
    try:
        return read_json(path)
    except (OSError, json.JSONDecodeError):
        return None


def _held(job: str, held: Mapping[str, HeldJob]) -> bool:
    """Whether Slurm holds a job, or a task of it."""
    return job in held or any(name.startswith(f"{job}_") for name in held)


def sweeps_of(folder: Path) -> list[str]:
    """The sweeps that have a cell, as its MLflow run was tagged."""
    stamps = read_json(folder / "mlflow.json") or {}
    return sorted({name for stamp in stamps.values() for name in stamp.get("sweeps", ())})


def _existing(paths: Iterable[Path], kind: str, cell: Path | None) -> Iterator[Piece]:
    for path in paths:
        if path.exists():
            yield Piece(path, size(path), kind, cell)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum(
        os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(path) for name in names
    )  # fmt: skip


def remove(pieces: Iterable[Piece]) -> tuple[int, list[str]]:
    """Bytes that are gone, and what could not be removed and why. A cell that was begun meanwhile is left alone."""
    gone, problems = 0, []
    for piece in pieces:
        last = attempts.latest(piece.folder) if piece.folder else None
        if last is not None and last.alive():
            problems.append(f"{piece.path}: the cell runs by now; left alone")
            continue
        try:
            shutil.rmtree(piece.path) if piece.path.is_dir() else piece.path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(f"{piece.path}: {error.strerror}")
        else:
            gone += piece.size
    return gone, problems
