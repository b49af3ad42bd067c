"""From a grid to jobs: submits what is missing, watches until it is over, and says what came of it.

The folders of the cells are the truth; a job's own word counts for nothing. So a second launcher on the same grid,
or one started after this one was killed, simply looks at the folders and goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gta import tracking
from gta.config import Config
from gta.errors import UserError
from gta.files import write_json
from launch import grid, slurm
from launch.board import Board, summary
from launch.cell import Cell
from launch.ledger import Entry, State, ledger, submitted_jobs, to_run

POLL_SECONDS = {"local": 0.5, "slurm": 5.0}
SYNC_SECONDS = 60.0
DEATHS = 3  # a cell whose process dies so often without a word is left as it is


class Cluster(Protocol):
    """Where jobs run."""

    at_once: int  # most jobs of ours at the same time; 0: as many as there are

    def submit(self, cells: Sequence[Cell]) -> list[str]:
        """Start or queue one job a cell; the ids."""

    def live(self, jobs: Sequence[str]) -> set[str]:
        """Those jobs that are not over."""

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs; cells save themselves where they can."""


@dataclass
class Report:
    """What `launch` hands back through Hydra's sweeper, which looks at `return_value`."""

    entries: list[Entry]
    sweep: str
    interrupted: bool = False
    return_value: None = None

    @property
    def missing(self) -> list[Entry]:
        """The cells without a result: failed, or dead so often that they were left as they are."""
        return [entry for entry in self.entries if entry.state is not State.DONE]


def launch(launcher: Any, job_overrides: Sequence[Sequence[str]]) -> Report:
    """What both Hydra launchers do: make the cells, run what is missing, record it.

    `launcher` is a hydra-submitit-launcher instance: its `params` describe the executor.
    """
    master = launcher.config
    cells = grid.cells(launcher.hydra_context.config_loader, master, job_overrides)
    kind = launcher._EXECUTOR
    params = dict(launcher.params)
    retry = params.pop("retry")
    if retry not in ("none", "failed"):
        raise UserError(f"retry={retry}: use retry=failed to run failed cells again, or leave it out.")
    at_once = params.pop("at_once")
    if kind == "slurm":  # lists and mappings: Hydra composes them before the site that an interpolation would name
        params["setup"] = [*(params["setup"] or []), *master.site.setup]
        params["additional_parameters"] = {**master.site.sbatch, **params["additional_parameters"]}
    cluster = _cluster(kind, params, cells, at_once)
    return run(cells, cluster, grid.sweep_name(master), retry, POLL_SECONDS[kind])


def run(cells: list[Cell], cluster: Cluster, sweep: str, retry: str, poll: float) -> Report:
    """Submit what is missing and wait until no cell waits or runs; Ctrl-C ends our jobs, saved."""
    board = Board()
    entries = ledger(cells, cluster.live(submitted_jobs(cells)))
    board.console.print(f"{sweep}: {summary(entries)}", markup=False)
    record = _Recorder(cells, sweep)
    watch = _Watch(cells, cluster, retry)
    interrupted = False
    with board:
        try:
            while True:
                entries = watch.turn()
                board.show(entries)
                if watch.over(entries):
                    break
                record.sometimes(entries)
                time.sleep(poll)
        except KeyboardInterrupt:
            interrupted = True
            entries = watch.stop()
    record.now()
    return Report(entries, sweep, interrupted)


class _Watch:
    """One launcher's view of the grid: which jobs are its own, and what to submit next."""

    def __init__(self, cells: list[Cell], cluster: Cluster, retry: str):
        self.cells = cells
        self.cluster = cluster
        self.jobs: dict[str, str] = {}  # signature -> job
        self.deaths: Counter[str] = Counter()
        first = ledger(cells, cluster.live(submitted_jobs(cells)))
        self.retry = {e.cell.signature for e in first if retry == "failed" and e.state is State.FAILED}

    def turn(self) -> list[Entry]:
        """Look at all cells, submit what there is room for, and look again at those."""
        live = self.cluster.live([*self.jobs.values(), *submitted_jobs(self.cells)])
        entries = ledger(self.cells, live)
        self._bury(entries, live)
        entries = [self._with_deaths(entry) for entry in entries]
        waiting = [entry.cell for entry in entries if self._wanted(entry)]
        room = self.cluster.at_once - len(self.jobs) if self.cluster.at_once else len(waiting)
        chosen = waiting[: max(0, room)]
        if chosen:
            for cell in chosen:
                cell.write()
            jobs = self.cluster.submit(chosen)
            for cell, job in zip(chosen, jobs, strict=True):
                self.jobs[cell.signature] = job
                self.retry.discard(cell.signature)
                write_json(cell.folder / "submitted.json", {"job": job, "time": time.time()})
        return entries

    def _wanted(self, entry: Entry) -> bool:
        signature = entry.cell.signature
        if signature in self.jobs or self.deaths[signature] >= DEATHS:
            return False
        return to_run(entry, "failed" if signature in self.retry else "none")

    def _bury(self, entries: list[Entry], live: set[str]) -> None:
        """Forget our jobs that are over; count those that ended without a result or a word."""
        for entry in entries:
            job = self.jobs.get(entry.cell.signature)
            if job is None or job in live:
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
        self.cluster.cancel(list(self.jobs.values()))
        deadline = time.monotonic() + 30
        while self.cluster.live(list(self.jobs.values())) and time.monotonic() < deadline:
            time.sleep(0.2)
        return ledger(self.cells)


class _Recorder:
    """Writes journals to MLflow while cells run. This process is the store's one writer."""

    def __init__(self, cells: Sequence[Cell], sweep: str):
        self.cells = cells
        self.sweep = sweep
        self.done = -1
        self.last = time.monotonic()
        self.said: set[str] = set()

    def sometimes(self, entries: Sequence[Entry]) -> None:
        done = sum(entry.state in (State.DONE, State.FAILED) for entry in entries)
        if done != self.done or time.monotonic() - self.last > SYNC_SECONDS:
            self.done = done
            self.now()

    def now(self) -> None:
        sync(self.cells, self.sweep, self._warn)
        self.last = time.monotonic()

    def _warn(self, text: str) -> None:
        """Each trouble once: a store that is down stays down for a while."""
        if text not in self.said:
            self.said.add(text)
            print(text)


def sync(cells: Sequence[Cell], sweep: str, warn: Callable[[str], None] = print) -> None:
    """Bring MLflow up to the journals of the cells. A store that is down costs a line, never a metric."""
    present = [cell for cell in cells if (cell.folder / "cell.json").exists()]
    for uri in sorted({cell.config.paths.tracking_uri for cell in present}):
        folders = [cell.folder for cell in present if cell.config.paths.tracking_uri == uri]
        for problem in tracking.sync(folders, uri, sweep_tags(sweep)).problems:
            warn(f"MLflow is not up to date: {problem}; `python -m gta sync` does it later.")


def sweep_tags(sweep: str) -> list[str]:
    """The sweeps to tag a run with: none for a grid without a name."""
    return [] if sweep == Config().sweep_name else [sweep]


def _cluster(kind: str, params: dict[str, Any], cells: Sequence[Cell], at_once: int) -> Cluster:
    from launch.clusters import LocalCluster, SlurmCluster

    if kind == "slurm":
        if not slurm.available():
            raise UserError("No Slurm controller answers here: run this on a login node, or use hydra/launcher=local.")
        return SlurmCluster(params, at_once)
    import torch

    threads = max((cell.config.num_threads for cell in cells), default=1)
    gpus = 0 if all(cell.config.site.device == "cpu" for cell in cells) else torch.cuda.device_count()
    return LocalCluster(params, at_once, threads, gpus)


def log_tail(entry: Entry, lines: int = 12) -> str:
    """The last lines of a cell's log; empty where there is none."""
    path = Path(entry.log) if entry.log else None
    if path is None or not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
