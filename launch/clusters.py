"""Where jobs run: this machine or Slurm, both through submitit's executors."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import submitit
from submitit.core.utils import FailedJobError

from gta.errors import UserError
from launch import slurm
from launch.cell import Cell
from launch.job import Job
from launch.watch import Submitted

# hydra-submitit-launcher's parameters that submitit knows for every executor; the others get the executor's prefix
_SHARED = {
    "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name", "stderr_to_stdout",
}  # fmt: skip


def executor(kind: str, params: dict[str, Any]) -> submitit.AutoExecutor:
    """submitit's executor from the launcher's parameters."""
    given = {key: value for key, value in params.items() if value is not None}
    folder = given.pop("submitit_folder")
    # ours to count: a time-out or a preemption is an attempt in the ledger
    options = {"slurm_max_num_timeout": given.pop("max_num_timeout", 0)} if kind == "slurm" else {}
    made = submitit.AutoExecutor(folder=folder, cluster=kind, **options)
    given["stderr_to_stdout"] = True
    if kind == "slurm":
        # one dead rank ends the others at once; ranks get the job's environment under SBATCH_EXPORT=NONE as well, and
        # their share of its CPUs, which srun does not read from the job since Slurm 22.05
        given["srun_args"] = ["--kill-on-bad-exit=1", "--export=ALL"]
        if cpus := given.get("cpus_per_task"):
            given["srun_args"].append(f"--cpus-per-task={cpus}")
        given["additional_parameters"] = _flags(given.pop("additional_parameters", {}))
    made.update_parameters(**{key if key in _SHARED else f"{kind}_{key}": value for key, value in given.items()})
    if kind == "slurm":
        made.parameters["wckey"] = None  # submitit's own idea; clusters that check these keys refuse it
    return made


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    """sbatch options by their long names, `true` standing for an option without a value, `false` for none."""
    words = {name: str(value).lower() for name, value in options.items()}
    return {name: True if words[name] == "true" else options[name] for name in options if words[name] != "false"}


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

    def __init__(self, params: dict[str, Any], at_once: int, threads: int, gpus: int):
        self.ranks = int(params["tasks_per_node"])
        self._executor = executor("local", params)
        self._jobs: dict[str, submitit.Job[str]] = {}
        self._slots: dict[str, int] = {}
        self.gpus = gpus
        shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")  # those that we may use, where somebody said so
        self._gpu_ids = [int(name) for name in shown] if all(map(str.isdigit, shown)) else list(range(gpus))
        cores = len(os.sched_getaffinity(0))
        self.at_once = at_once or max(1, gpus // self.ranks if gpus else cores // (threads * self.ranks))

    def submit(self, cells: Sequence[Cell]) -> list[Submitted]:
        made = []
        for cell in cells:
            slot = self._free_slot()
            if self.gpus:
                mine = [self._gpu_ids[(slot * self.ranks + rank) % self.gpus] for rank in range(self.ranks)]
                self._executor.update_parameters(gpus_per_node=self.ranks, local_visible_gpus=mine)
            with _interrupts_blocked():
                job = self._executor.submit(Job(str(cell.folder)))
            self._jobs[job.job_id] = job
            self._slots[job.job_id] = slot
            made.append(Submitted(job.job_id, str(job.paths.stdout)))
        return made

    def _free_slot(self) -> int:
        """The lowest place that none of the living jobs holds: it says which GPUs a cell gets."""
        taken = {self._slots[name] for name in self.live(list(self._slots))}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def live(self, jobs: Sequence[str]) -> set[str]:
        """Of our own processes; those of another launcher are known by their cells' heartbeats."""
        return {name for name in jobs if name in self._jobs and not self._jobs[name].done()}

    def cancel(self, jobs: Sequence[str]) -> None:
        for name in self.live(jobs):
            # submitit's controller hands SIGTERM on to the ranks, which save
            os.kill(int(name), signal.SIGTERM)


class SlurmCluster:
    """Slurm: one job array for each submission."""

    name = "slurm"

    def __init__(self, params: dict[str, Any], at_once: int):
        self.at_once = at_once
        self._executor = executor("slurm", params)

    def submit(self, cells: Sequence[Cell]) -> list[Submitted]:
        """Raises UserError where sbatch refuses (a wrong partition, account, limit ...)."""
        try:
            with slurm.outside_of_jobs(), self._executor.batch():
                jobs = [self._executor.submit(Job(str(cell.folder))) for cell in cells]
        except FailedJobError as error:
            reason = " ".join(str(error).replace("sbatch: error: ", "").split())
            raise UserError(f"sbatch refused the jobs ({reason}): mend the settings of the site.") from None
        return [Submitted(job.job_id, str(job.paths.stdout)) for job in jobs]

    def live(self, jobs: Sequence[str]) -> set[str]:
        return slurm.live(jobs)

    def cancel(self, jobs: Sequence[str]) -> None:
        if jobs:
            slurm.cancel(jobs)
