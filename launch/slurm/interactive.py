"""A job in the foreground of a terminal, by srun, with what sbatch would be told of the same site."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence

from launch.slurm.commands import outside_of_jobs

# of a job that waits in the queue and writes into a file
_OF_BATCH = {"array", "comment", "error", "job-name", "open-mode", "output", "requeue", "wckey"}


def srun_command(script: str, setup: Sequence[str], command: Sequence[str], ranks: int, terminal: bool) -> list[str]:
    """The words of srun that run `command` on every rank, as the job that an sbatch script asks for.

    `setup`: shell lines before the command, on each rank, as `launch.state.setup` watches them; `terminal`: whether
    rank 0 gets it, for a debugger.
    """
    options = [line for line in re.findall(r"^#SBATCH (--\S.*)$", script, re.MULTILINE) if _name(line) not in _OF_BATCH]
    words = ["srun", "--job-name=gta-debug", f"--ntasks={ranks}", *(shlex.split(" ".join(options)))]
    words += ["--kill-on-bad-exit=1", "--export=ALL", "--pty" if terminal else "--unbuffered"]
    if not setup:
        return [*words, *command]
    lines = [*setup, f"exec {shlex.join(command)}"]
    return [*words, "/bin/bash", "-c", "\n".join(lines)]


def _name(option: str) -> str:
    return re.split(r"[= ]", option.removeprefix("--"), maxsplit=1)[0]


def in_foreground(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run srun until it is over; its exit code. Ctrl-C is srun's, which hands it on to the job.

    `environment`: variables of the job, beside those that are there.
    """
    with outside_of_jobs():
        process = subprocess.Popen(command, env={**os.environ, **environment})
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
