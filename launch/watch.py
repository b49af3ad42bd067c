"""One launcher's view of a grid: which jobs are its own, what to submit next, and when it is over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gta.files import write_json
from launch.cell import Cell
from launch.ledger import Entry, State, ledger, submitted_jobs, to_run

DEATHS = 3  # a cell whose process dies so often without a word is left as it is
SAVE_SECONDS = 60.0  # for cells to save when they are asked to stop


@dataclass(frozen=True)
class Submitted:
    """A job of ours: its id, and the log of its first rank."""

    job: str
    log: str


class Cluster(Protocol):
    """Where jobs run."""

    name: str
    at_once: int  # most cells at the same time; 0: the cluster knows

    def submit(self, cells: Sequence[Cell]) -> list[Submitted]:
        """Start or queue one job a cell."""

    def live(self, jobs: Sequence[str]) -> set[str]:
        """Those jobs that are not over."""

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs; cells save themselves where they can."""


class Watch:
    """Submits what is missing, a turn at a time. It keeps nothing that the cells' folders do not say."""

    def __init__(self, cells: list[Cell], cluster: Cluster, retry: str):
        self.cells = cells
        self.cluster = cluster
        self.jobs: dict[str, str] = {}  # signature -> job
        self.deaths: Counter[str] = Counter()
        self.first = self._look()
        self.retry = {e.cell.signature for e in self.first if retry == "failed" and e.state is State.FAILED}

    def turn(self) -> list[Entry]:
        """Look at all cells, and submit those that are missing as far as there is room."""
        entries = self._look()
        waiting = [entry.cell for entry in entries if self._wanted(entry)]
        elsewhere = [e for e in entries if e.here and e.state is State.RUNNING and e.cell.signature not in self.jobs]
        room = self.cluster.at_once - len(self.jobs) - len(elsewhere) if self.cluster.at_once else len(waiting)
        if chosen := waiting[: max(0, room)]:
            self._submit(chosen)
        return entries

    def _look(self) -> list[Entry]:
        # first the jobs, then the folders: what a job left behind before it was over is seen
        live = self.cluster.live([*self.jobs.values(), *submitted_jobs(self.cells, self.cluster.name)])
        entries = ledger(self.cells, live)
        self._bury(entries, live)
        return [self._with_deaths(entry) for entry in entries]

    def _submit(self, cells: list[Cell]) -> None:
        for cell in cells:
            cell.write()
        for cell, made in zip(cells, self.cluster.submit(cells), strict=True):
            self.jobs[cell.signature] = made.job
            self.retry.discard(cell.signature)
            record = {"job": made.job, "cluster": self.cluster.name, "log": made.log, "time": time.time()}
            write_json(cell.folder / "submitted.json", record)

    def _wanted(self, entry: Entry) -> bool:
        signature = entry.cell.signature
        if signature in self.jobs or self.deaths[signature] >= DEATHS:
            return False
        return to_run(entry, "failed" if signature in self.retry else "none")

    def _bury(self, entries: list[Entry], live: set[str]) -> None:
        """Forget our jobs that are over; count those that ended without a result or a word.

        A cell that was killed on another host reads as running until its heartbeat is old: it is kept till then.
        """
        for entry in entries:
            job = self.jobs.get(entry.cell.signature)
            if job is None or job in live or entry.state is State.RUNNING:
                continue
            del self.jobs[entry.cell.signature]
            if entry.state in (State.NEVER_RUN, State.RESUMABLE) and not entry.stopped:
                self.deaths[entry.cell.signature] += 1

    def _with_deaths(self, entry: Entry) -> Entry:
        """A cell that was given up says so."""
        deaths = self.deaths[entry.cell.signature]
        if deaths < DEATHS or entry.state not in (State.NEVER_RUN, State.RESUMABLE):
            return entry
        return replace(entry, detail=f"{entry.detail}; its process died {deaths} times without a word".lstrip("; "))

    def over(self, entries: list[Entry]) -> bool:
        """Nothing of ours runs, nothing waits, and nobody else is at one of the cells."""
        busy = any(entry.state in (State.RUNNING, State.QUEUED) for entry in entries)
        return not self.jobs and not busy and not any(self._wanted(entry) for entry in entries)

    def stop(self) -> list[Entry]:
        """End our jobs: each saves at its next step boundary."""
        mine = list(self.jobs.values())
        self.cluster.cancel(mine)
        deadline = time.monotonic() + SAVE_SECONDS
        while self.cluster.live(mine) and time.monotonic() < deadline:
            time.sleep(0.2)
        return ledger(self.cells, self.cluster.live(mine))
