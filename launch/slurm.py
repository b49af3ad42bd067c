"""The one place that speaks to Slurm's commands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable

from gta.errors import UserError


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

    Raises UserError where squeue does not answer: not knowing must not look like "over".
    """
    wanted = set(jobs)
    if not wanted:
        return set()
    command = ["squeue", "--noheader", "--array", "--me", "--format=%i %T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"squeue does not answer ({error}); is this a login node of the cluster?") from None
    if answer.returncode:
        raise UserError(f"squeue failed: {answer.stderr.strip()}")
    return {line.split()[0] for line in answer.stdout.splitlines() if line.split()} & wanted


def cancel(jobs: Iterable[str]) -> None:
    """scancel; jobs that are over already are no error."""
    subprocess.run(["scancel", *jobs], capture_output=True, timeout=60, check=False)
