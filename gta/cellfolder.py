"""The folder of one cell, `runs/cells/<signature>/`: its paths, and its records with one reader and one writer each.

    config.yaml        the frozen config              (`settings`; typed by `gta.compose`)
    method.py          the source of its method, where that is a user's own file (`gta.methods.own`)
    cell.json          `Identity`    what the cell is, written when it is submitted
    submitted.json     `Submitted`   the job that it was last submitted as
    attempts/0003.json `Attempt`     one start of it: who, where, how it ended; its time stamp is the heartbeat
             `Silence`   attempts/0003.silent-1.json: rank 1 of it makes no progress
    journal.jsonl      what the run says (`gta.journal`)
    checkpoint.pt      where it goes on      (`gta.train.checkpoint`)
    checkpoint.previous.pt           the checkpoint before: where it goes on if the last one is damaged
    best.pt            the best weights of the headline network
    order.json         `Orders`      from which iterations on other batches are drawn, where that was asked
    failure.json       `Failure`     why an attempt failed
    cancelled.json     `Cancelled`   who ended it
    result.json        `Result`      written last, at once: it is what "done" means
    notified.json      of which of its failures somebody was told (`gta.notices`)
    artifacts/         confusion matrix and pictures of the last evaluation (`gta.train.artifacts`)
    evaluations/       what its networks score by any protocol (`gta.evaluations`)
    mlflow.json        what of it was sent to which store (`gta.tracking.sync_cache`)
    damaged/           damaged records as they were (`launch.state.repair`)

A record that is absent is None. One that is broken (empty, cut off, not JSON, without a field, of another version or
another cell) raises BrokenRecord, which names the file and what to do: commands over many cells say it on that cell's
line and go on. Imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gta.cellpaths import CellPaths
from gta.cellrecords import (
    DEAD_SECONDS,
    Attempt,
    Cancelled,
    Death,
    Failure,
    Identity,
    NetworkScores,
    NewOrder,
    Orders,
    Result,
    Score,
    Silence,
    Submitted,
)
from gta.jsonrecord import UNREAD, VERSION, BrokenRecord, JsonRecord, text_in
from gta.processes import process_start, this_place

__all__ = [
    "DEAD_SECONDS",
    "VERSION",
    "Attempt",
    "BrokenRecord",
    "Cancelled",
    "CellFolder",
    "Death",
    "Failure",
    "Identity",
    "JsonRecord",
    "NetworkScores",
    "NewOrder",
    "Orders",
    "Result",
    "Score",
    "Silence",
    "Submitted",
    "cell_folders",
    "process_start",
    "readable",
    "this_place",
]
Found = TypeVar("Found")


class CellFolder(CellPaths):
    """The paths and records of one cell. Readers give None for what is not there, and raise BrokenRecord."""

    @property
    def signature(self) -> str:
        """The folder's name; a record inside that says another is of another cell."""
        name = self.path.name
        # resolving looks at every folder on the way, and a command over many cells asks for each of them several times
        return self.path.resolve().name if name in ("", "..") or os.path.islink(self.path) else name

    @property
    def done(self) -> bool:
        """Whether there is a result, whole or not."""
        return os.path.lexists(self.result_file)

    @property
    def frozen(self) -> bool:
        """Whether the cell was ever submitted."""
        return os.path.lexists(self.identity_file)

    def identity(self) -> Identity | None:
        found = Identity.read(self.identity_file)
        if found is not None and found.signature != self.signature:
            raise BrokenRecord(
                self.identity_file, f"is of the cell {found.signature}, not of this one", Identity.REMEDY
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
        found = self.failure()
        if found is None:
            return None
        last = self.latest_attempt()
        return found if found.attempt == (last.number if last else 0) else None

    def cancelled(self) -> Cancelled | None:
        """Who ended the cell, where that is later than its last submission."""
        found = Cancelled.read(self.cancelled_file)
        if found is None:
            return None
        submitted = self.submitted()
        return None if submitted is not None and found.time <= submitted.time else found

    def verdict(self) -> Failure | Cancelled | None:
        """Why the cell does not go on by itself: its latest attempt failed, or somebody cancelled it, since it was last
        submitted.
        """
        failure = self.last_failure()
        if failure is not None:
            submitted = self.submitted()
            if submitted is None or failure.time > submitted.time:
                return failure
        return self.cancelled()

    def result(self) -> Result | None:
        found = Result.read(self.result_file)
        if found is not None and found.signature != self.signature:
            raise BrokenRecord(self.result_file, f"is of the cell {found.signature}, not of this one", Result.REMEDY)
        return found

    def orders(self) -> list[NewOrder]:
        """The new orders of the batches that were asked for; none, for almost every cell."""
        found = Orders.read(self.order_file)
        return found.orders if found else []

    def settings(self) -> dict[str, Any] | None:
        """The frozen config as plain Python; None where there is none. Raises BrokenRecord."""
        import yaml

        text = text_in(self.config_file, Identity.REMEDY)
        if text is None:
            return None
        try:
            found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            json.dumps(found, default=str)  # what holds itself has no end
        except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError):
            found = None
        if not isinstance(found, dict):
            what = "is not the config of a cell" if text.strip() else "is empty"
            raise BrokenRecord(self.config_file, what, Identity.REMEDY)
        return found

    def check_places(self) -> None:
        """Raises BrokenRecord where something else is in the place of a file or a folder that a run writes."""
        files = (self.config_file, self.journal_file, self.checkpoint_file, self.best_file, self.result_file)
        for path in files:
            if path.is_dir():
                raise BrokenRecord(path, "is a folder", Identity.REMEDY)
        for path in (self.path, self.attempts_folder, self.artifacts_folder):
            if path.exists() and not path.is_dir():
                raise BrokenRecord(path, "is no folder", Identity.REMEDY)

    def attempt_numbers(self) -> list[int]:
        """Numbers of the attempts, oldest first."""
        try:
            names = os.listdir(self.attempts_folder)
        except (FileNotFoundError, NotADirectoryError):  # of the latter `check_places` says so
            return []
        except OSError as error:
            raise BrokenRecord(self.attempts_folder, f"{UNREAD}{error.strerror})", Attempt.REMEDY) from None
        numbers = (int(name.removesuffix(".json")) for name in names if re.fullmatch(r"[0-9]{4,9}\.json", name))
        return sorted(number for number in numbers if number)

    def attempt(self, number: int) -> Attempt | None:
        """The attempt of that number; None where there is none. A broken record (lost in a crash of the machine) is an
        attempt of an unknown host: its number still counts, and its heartbeat ages.
        """
        path = self.attempt_file(number)
        try:
            beat = os.lstat(path).st_mtime
            found = Attempt.read(path)
            if found is None and path.is_symlink():
                raise BrokenRecord(path, "is a link to nothing", Attempt.REMEDY)
            if found is not None and found.time is None:
                raise BrokenRecord(path, "has no time", Attempt.REMEDY)
        except BrokenRecord as error:
            found = Attempt(broken=str(error), brief=error.brief)
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

    def silences(self, number: int) -> list[Silence]:
        """The ranks of an attempt that make no progress, and say so; one that cannot be read says nothing."""
        paths = sorted(self.attempts_folder.glob(f"{number:04d}.silent-*.json"))
        found = [readable(partial(Silence.read, path), say=lambda _: None) for path in paths]
        return [silence for silence in found if silence is not None]


def cell_folders(runs: Path) -> list[CellFolder]:
    """The folders of all cells below a folder of runs that were ever submitted, by signature."""
    folders = (CellFolder(path) for path in sorted((runs / "cells").glob("*")))
    return [folder for folder in folders if folder.frozen]


def readable(read: Callable[[], Found | None], say: Callable[[str], None]) -> Found | None:
    """What a reader of a record finds, for who can do without: None, and a word about it, where it is broken."""
    try:
        return read()
    except BrokenRecord as error:
        say(str(error))
        return None
