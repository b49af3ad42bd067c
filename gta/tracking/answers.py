"""Runs as an SQLite store gave them, kept beside it: a store that nobody has written to since would say the same.

MLflow takes seconds to import. SQLite counts the transactions of a file in its head, so that one with the same head,
size, inode and times of writing is the one that was asked. What cannot be told so is asked: another kind of store, one
with a journal or a write-ahead log beside it, and one that was written to while it was asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta.files import replacing
from gta.tracking import keys, store

if TYPE_CHECKING:
    from mlflow.entities import Run

VERSION = 1  # of the files
MOST = 5000  # runs in an answer: reading more takes as long as importing MLflow
ANSWERS = 20  # kept beside a store, the newest: a grid under other settings is another question
_HEAD = 100  # bytes of SQLite's head, the count of transactions among them


@dataclass(frozen=True)
class Info:
    """As MLflow's, of what is asked here; `start_time` in milliseconds."""

    run_id: str
    status: str
    start_time: int | None


@dataclass(frozen=True)
class Data:
    """As MLflow's: the last value of each metric, and all tags."""

    tags: dict[str, str]
    metrics: dict[str, float]


@dataclass(frozen=True)
class KeptRun:
    """A run of MLflow's, less what nobody reads."""

    info: Info
    data: Data


def runs(uri: str, question: str, ask: Callable[[], Iterable[Run]]) -> list[KeptRun]:
    """What `ask` finds in the store, or what it found when the store was as it is now; `question`: what is asked, equal
    for equal answers. Raises what `ask` raises.
    """
    before = _stamp(uri)
    if before is not None and (kept := _read(uri, question, before)) is not None:
        return kept
    found = [
        KeptRun(Info(run.info.run_id, run.info.status, run.info.start_time), Data(run.data.tags, run.data.metrics))
        for run in ask()
    ]
    if before is not None and before == _stamp(uri):
        _keep(uri, question, before, found)
    return found


def sweep_runs(uri: str, condition: str) -> list[KeptRun]:
    """The sweeps' own runs of this condition, as `gta.tracking.keys.sweep_runs`; errors as of `runs`."""

    def ask() -> Iterable[Run]:
        client = store.connect(uri)
        experiment = client.get_experiment_by_name(keys.EXPERIMENT)
        return keys.sweep_runs(client, experiment.experiment_id, condition) if experiment else []

    return runs(uri, f"sweeps: {condition}", ask)


def _stamp(uri: str) -> list[Any] | None:
    """What is another after every transaction, and with another MLflow, which may not open the file; None where that
    cannot be told.
    """
    path = store.sqlite_path(uri)
    # SQLite has them beside the file that a link leads to
    if path is None or any(os.path.lexists(f"{os.path.realpath(path)}-{kind}") for kind in ("journal", "wal")):
        return None
    try:
        with open(path, "rb") as file:  # opened first: a network file system then asks its server
            head, status = file.read(_HEAD), os.fstat(file.fileno())
    except OSError:
        return None
    if len(head) < _HEAD or not stat.S_ISREG(status.st_mode):
        return None
    times = [status.st_mtime_ns, status.st_ctime_ns]
    return [VERSION, _version(), head.hex(), status.st_size, status.st_ino, *times]


@cache
def _version() -> str:
    return metadata.version("mlflow")


def _file(uri: str, question: str) -> Path:
    path = store.sqlite_path(uri)
    assert path is not None
    return path.with_name(f"{path.name}.answers") / f"{hashlib.sha256(question.encode()).hexdigest()[:16]}.json"


def _read(uri: str, question: str, stamp: list[Any]) -> list[KeptRun] | None:
    try:
        kept = json.loads(_file(uri, question).read_bytes())
        if kept["stamp"] != stamp or kept["question"] != question:
            return None
        return [KeptRun(Info(*one["info"]), Data(one["tags"], one["metrics"])) for one in kept["runs"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # a shortcut: without it the store is asked
        return None


def _keep(uri: str, question: str, stamp: list[Any], found: list[KeptRun]) -> None:
    if len(found) > MOST:
        return
    told = [
        {
            "info": [run.info.run_id, run.info.status, run.info.start_time],
            "tags": run.data.tags,
            "metrics": run.data.metrics,
        }
        for run in found
    ]
    path = _file(uri, question)
    with suppress(OSError), replacing(path, flush=False) as temporary:
        temporary.write_text(json.dumps({"stamp": stamp, "question": question, "runs": told}), encoding="utf-8")
        os.chmod(temporary, 0o666 & os.stat(store.sqlite_path(uri) or path).st_mode)  # who reads the store reads this
    _remove_old(path.parent)


def _remove_old(folder: Path) -> None:
    """All but the newest answers. Another process may do the same, or write one meanwhile: it is asked once more."""
    written: list[tuple[int, Path]] = []
    for path in folder.glob("[0-9a-f]*.json"):
        with suppress(OSError):
            written.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(written, reverse=True)[ANSWERS:]:
        with suppress(OSError):
            path.unlink()
