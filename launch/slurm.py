"""The one place that speaks to Slurm's commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gta.errors import UserError

TRIES = 4  # a busy controller refuses a question now and then
PAUSE_SECONDS = 5.0
_RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def available() -> bool:
    """Whether a Slurm controller answers on this machine."""
    if shutil.which("scontrol") is None:
        return False
    try:
        answer = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return " UP" in answer.stdout


def live(jobs: Iterable[str]) -> set[str]:
    """Those of `jobs` (57 or 57_3) that Slurm still holds: pending, running, or on their way in or out.

    Raises UserError where squeue does not answer, after a few tries: not knowing must not look like "over".
    """
    wanted = set(jobs)
    if not wanted:
        return set()
    for left in reversed(range(TRIES)):
        try:
            return _held() & wanted
        except UserError:
            if not left:
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")


def _held() -> set[str]:
    """All jobs of this user that Slurm holds, each task of an array by itself."""
    command = ["squeue", "--noheader", "--array", "--me", "--format=%i"]
    # SQUEUE_STATES and the like would hide jobs
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"squeue does not answer ({error}); is this a login node of the cluster?") from None
    if answer.returncode:
        raise UserError(f"squeue failed: {answer.stderr.strip()}")
    return set(answer.stdout.split())


def cancel(jobs: Iterable[str]) -> None:
    """scancel; jobs that are over already are no error."""
    subprocess.run(["scancel", *jobs], capture_output=True, timeout=60, check=False)


@contextmanager
def outside_of_jobs() -> Iterator[None]:
    """The environment of this process as if it were part of no Slurm job, for as long as it submits one.

    sbatch and the new job's srun would take what Slurm told the present job (SLURM_MEM_PER_CPU ...) for options.
    Where the cluster is (SLURM_CONF) and the user's own SBATCH_ACCOUNT and the like stay.
    """
    before = dict(os.environ)
    if "SLURM_JOB_ID" in os.environ:
        for name in before:
            of_job = name.startswith(("SLURM_", "SLURMD_", "SBATCH_MEM_BIND", "SBATCH_CPU_BIND", "SUBMITIT_"))
            if (of_job and name != "SLURM_CONF") or name in _RANKS:
                del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)
