"""squeue's answer about a user's jobs, shared by all launchers over one folder of runs: one of them asks, all know."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from gta import files, locks
from launch.slurm import cluster
from launch.slurm import commands as slurm
from launch.state.jobs import FINAL, EndedJob, HeldJob, Unknown

LOCK_SECONDS = slurm.TRIES * (slurm.ASK_SECONDS + slurm.PAUSE_SECONDS)  # the longest that who asks takes
Known = Mapping[str, HeldJob | EndedJob] | Unknown
Accounts = Mapping[str, EndedJob] | Unknown


class Answers(Protocol):
    """Slurm's answers, new or kept."""

    def remembered(self) -> Known:
        """As `launch.slurm.commands.remembered`."""

    def accounted(self, jobs: set[str]) -> Accounts:
        """As `launch.slurm.commands.accounted`."""


class NewAnswers:
    """Slurm is asked each time."""

    def remembered(self) -> Known:
        return slurm.remembered()

    def accounted(self, jobs: set[str]) -> Accounts:
        return slurm.accounted(jobs)


class SharedAnswers:
    """Answers no older than `patience` seconds, whoever asked.

    squeue's is in `runs/.queue.<cluster>.<uid>.json`, under a lock while Slurm is asked: who comes meanwhile waits, and
    reads; where the lock or the file cannot be had, each asks for itself. How jobs ended is kept by this process, and
    asked again only beside a new answer of squeue's.
    """

    def __init__(self, runs: Path, clock: Callable[[], float] = time.time):
        self.patience = 0.0
        self.asked = 0.0  # when the last answer was asked for
        self._runs = runs
        self._clock = clock
        self._kept: tuple[float, Known | None] = (0.0, None)  # where nothing is shared
        self._ended: dict[str, EndedJob] = {}
        # beside the answer of that time: jobs of which the accounting knows no end yet, or that it does not answer
        self._beside = 0.0
        self._late: dict[str, EndedJob | None] = {}
        self._unheard: Unknown | None = None

    def remembered(self) -> Known:
        path = self._path()
        if path is None:
            kept = self._young(*self._kept)
            return self._new() if kept is None else kept
        with locks.lock_within(path.with_suffix(".lock"), LOCK_SECONDS) as mine:
            for answer in (_read(path), self._kept):
                if (known := self._young(*answer)) is not None:
                    return known
            known = self._new()
            with suppress(OSError):
                if mine:
                    files.write_text(path, _text(self.asked, known))
                    self._kept = (0.0, None)
        return known

    def _young(self, asked: float, known: Known | None) -> Known | None:
        """An answer that serves still."""
        if known is None or not 0 <= self._clock() - asked < self.patience:
            return None
        self.asked = asked
        return known

    def _new(self) -> Known:
        self.asked = self._clock()
        known = slurm.remembered()
        self._kept = (self.asked, known)
        return known

    def accounted(self, jobs: set[str]) -> Accounts:
        if self._beside != self.asked:
            self._beside, self._late, self._unheard = self.asked, {}, None
        if wanted := jobs - self._ended.keys() - self._late.keys():
            said = self._unheard or slurm.accounted(wanted)
            if isinstance(said, Unknown):
                self._unheard = said
                return said
            self._ended |= {job: one for job, one in said.items() if one.state in FINAL}
            self._late |= {job: said.get(job) for job in wanted - self._ended.keys()}
        known = {**self._ended, **{job: one for job, one in self._late.items() if one is not None}}
        return {job: known[job] for job in jobs & known.keys()}

    def forget(self) -> None:
        """What was answered up to now holds no more: jobs were sent."""
        self._kept = (0.0, None)
        if (path := self._path()) is not None:
            with locks.lock_within(path.with_suffix(".lock"), LOCK_SECONDS), suppress(OSError):
                path.unlink(missing_ok=True)

    def _path(self) -> Path | None:
        """None where nothing can be shared: the cluster does not say its name, or the folder is another user's."""
        name = cluster.name()
        return self._runs / f".queue.{name}.{os.getuid()}.json" if name and os.access(self._runs, os.W_OK) else None


def _text(asked: float, known: Known) -> str:
    if isinstance(known, Unknown):
        return json.dumps({"asked": asked, "unknown": asdict(known)})
    held = [asdict(job) for job in known.values() if isinstance(job, HeldJob)]
    ended = [asdict(job) for job in known.values() if isinstance(job, EndedJob)]
    return json.dumps({"asked": asked, "held": held, "ended": ended})


def _read(path: Path) -> tuple[float, Known | None]:
    """When it was asked, and the answer; None where there is none, or one that cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        asked = float(found["asked"])
        if "unknown" in found:
            return asked, Unknown(**found["unknown"])
        jobs: list[HeldJob | EndedJob] = [HeldJob(**fields) for fields in found["held"]]
        jobs += [EndedJob(**fields) for fields in found["ended"]]
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, None
    return asked, {job.job: job for job in jobs}
