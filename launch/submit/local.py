"""Cells on this machine, as processes of submitit's local executor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit

import gta
from gta import ROOT
from gta.cellfolder import Submitted
from launch.job.local import Job
from launch.slurm.resources import torch_may_use_gpus
from launch.state.jobs import HeldJob, Unknown
from launch.state.ledger import Entry
from launch.state.submission import ToSubmit, record_submission


def local_executor(params: Mapping[str, Any]) -> submitit.LocalExecutor:
    """submitit's executor of processes on this machine, from the launcher's parameters."""
    given = {key: value for key, value in params.items() if value is not None}
    made = submitit.LocalExecutor(given.pop("submitit_folder"))
    made.update_parameters(**{**given, "stderr_to_stdout": True})
    return made


def gpus_here() -> int:
    """How many GPUs torch sees; it is imported where it can see any."""
    if not torch_may_use_gpus():
        return 0
    import torch

    return torch.cuda.device_count()


def visible_gpus(count: int) -> list[str]:
    """The `count` GPUs that cells may use, as CUDA_VISIBLE_DEVICES names them: an index, a UUID, a MIG instance.

    CUDA shows a process one MIG instance, however many it may use: there the names count, and not `count`.
    """
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if not names:  # nobody said so
        return [str(index) for index in range(count)]
    return names if any(name.startswith("MIG-") for name in names) else names[:count]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started here never see a terminal's Ctrl-C: it is the launcher's, which lets cells save first.

    (submitit's controller of a local job would kill its ranks within a second.)
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _own_modules_first() -> Iterator[None]:
    """Processes started here find the program's packages before a user's of the same names in the working folder."""
    before = dict(os.environ)
    paths = [str(ROOT), str(Path(gta.__file__).parents[1]), *filter(None, [before.get("PYTHONPATH")])]
    os.environ.update(PYTHONSAFEPATH="1", PYTHONPATH=os.pathsep.join(dict.fromkeys(paths)))
    try:
        yield
    finally:
        for name in ("PYTHONSAFEPATH", "PYTHONPATH"):
            os.environ.pop(name)
            os.environ |= {name: before[name]} if name in before else {}


class LocalCluster:
    """Processes on this machine, `at_once` cells at a time (0: as many as its GPUs, or its cores, can hold).

    `job`: what a cell's process runs, by the cell's folder; None: `launch.job.local.Job`.
    """

    name = "local"

    def __init__(
        self,
        params: dict[str, Any],
        at_once: int,
        threads: int,
        gpus: int,
        packed: int = 1,
        job: Callable[[str], Callable[[], str]] | None = None,
    ):
        self._job = job or Job
        self.ranks = int(params["tasks_per_node"])
        self._executor = local_executor(params)
        self._jobs: dict[str, submitit.Job[str]] = {}
        self._slots: dict[str, int] = {}
        self._visible = visible_gpus(gpus) if gpus else []
        self.gpus = len(self._visible)
        cores = len(os.sched_getaffinity(0))
        whole = self.gpus * packed // self.ranks if self.gpus else cores // (threads * self.ranks)
        self.at_once = at_once or max(1, whole)

    def recover(self, runs: Path) -> Mapping[str, Unknown]:
        """Nothing is lost: a local job dies with its launcher, or is known by its heartbeat."""
        return {}

    def avoid_failing_nodes(self, entries: Sequence[Entry]) -> None:
        """Jobs of this machine begin when they are started: none waits."""

    def ready(self, entries: Sequence[Entry]) -> bool:
        """This machine refuses nothing; `at_once` is what it can hold."""
        return True

    def submit(self, cells: Sequence[ToSubmit], entries: Sequence[Entry]) -> dict[str, str]:
        made = {}
        for one in cells:
            slot = self._free_slot()
            if self.gpus:
                mine = [self._visible[(slot * self.ranks + rank) % self.gpus] for rank in range(self.ranks)]
                # not by `update_parameters`, which takes indices only; submitit joins them with commas
                self._executor.parameters.update(gpus_per_node=self.ranks, visible_gpus=mine)
            folder = one.cell.folder
            with _interrupts_blocked(), _own_modules_first():
                job = self._executor.submit(self._job(str(folder.path)))
            self._jobs[job.job_id] = job
            self._slots[job.job_id] = slot
            log = str(job.paths.stdout)
            sent = Submitted(job=job.job_id, cluster=self.name, log=log, time=time.time(), after=one.after)
            record_submission(folder, sent, one.asked)
            made[one.cell.signature] = job.job_id
        return made

    def _free_slot(self) -> int:
        """The lowest place that none of the living jobs holds: it says which GPUs a cell gets."""
        taken = {self._slots[name] for name in self.held(self._slots)}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def held(self, jobs: Collection[str]) -> Mapping[str, HeldJob]:
        """Of our own processes; those of another launcher are known by their cells' heartbeats."""
        return {name: HeldJob(name, "RUNNING") for name in jobs if name in self._jobs and not self._jobs[name].done()}

    def cancel(self, jobs: Collection[str]) -> None:
        for name in self.held(jobs):
            # submitit's controller hands SIGTERM on to the ranks, which save
            os.kill(int(name), signal.SIGTERM)
