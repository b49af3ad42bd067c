"""Where jobs run: this machine or Slurm, both through submitit's executors."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit

from launch.job.attempt import Job
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry
from launch.state.submission import ToSubmit, record_submission

# hydra-submitit-launcher's parameters that submitit knows for every executor; the others get the executor's prefix
_SHARED = {
    "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name", "stderr_to_stdout",
}  # fmt: skip


def local_executor(params: Mapping[str, Any]) -> submitit.AutoExecutor:
    """submitit's executor of processes on this machine, from the launcher's parameters."""
    given = {key: value for key, value in params.items() if value is not None}
    made = submitit.AutoExecutor(folder=given.pop("submitit_folder"), cluster="local")
    given["stderr_to_stdout"] = True
    made.update_parameters(**{key if key in _SHARED else f"local_{key}": value for key, value in given.items()})
    return made


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


class LocalCluster:
    """Processes on this machine, `at_once` cells at a time (0: as many as its GPUs, or its cores, can hold)."""

    name = "local"

    def __init__(self, params: dict[str, Any], at_once: int, threads: int, gpus: int, packed: int = 1):
        self.ranks = int(params["tasks_per_node"])
        self._executor = local_executor(params)
        self._jobs: dict[str, submitit.Job[str]] = {}
        self._slots: dict[str, int] = {}
        self.gpus = gpus
        shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")  # those that we may use, where somebody said so
        self._gpu_ids = [int(name) for name in shown] if all(map(str.isdigit, shown)) else list(range(gpus))
        cores = len(os.sched_getaffinity(0))
        self.at_once = at_once or max(1, gpus * packed // self.ranks if gpus else cores // (threads * self.ranks))

    def recover(self, runs: Path) -> None:
        """Nothing is lost: a local job dies with its launcher, or is known by its heartbeat."""

    def avoid_failing_nodes(self, entries: Sequence[Entry]) -> None:
        """Jobs of this machine begin when they are started: none waits."""

    def submit(self, cells: Sequence[ToSubmit]) -> list[str]:
        made = []
        for one in cells:
            slot = self._free_slot()
            if self.gpus:
                mine = [self._gpu_ids[(slot * self.ranks + rank) % self.gpus] for rank in range(self.ranks)]
                self._executor.update_parameters(gpus_per_node=self.ranks, local_visible_gpus=mine)
            folder = one.cell.folder
            with _interrupts_blocked():
                job = self._executor.submit(Job(str(folder.path)))
            self._jobs[job.job_id] = job
            self._slots[job.job_id] = slot
            log = str(job.paths.stdout)
            record_submission(folder, job.job_id, self.name, log, one.after, one.asked, time.time())
            made.append(job.job_id)
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
