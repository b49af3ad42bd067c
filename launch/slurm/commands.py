"""The one place that speaks to Slurm's commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from gta.errors import UserError
from launch.state.jobs import EndedJob, HeldJob

TRIES = 4  # a busy controller refuses a question now and then
PAUSE_SECONDS = 5.0
_TOGETHER = 500  # jobs of one command line
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


def queue() -> dict[str, HeldJob]:
    """All jobs of this user that Slurm holds, each task of an array by itself: pending, running, on their way out.

    Raises UserError where squeue does not answer, after a few tries: not knowing must not look like "over".
    """
    held = _patiently(partial(_squeue, []))
    return {job.job: job for job in held}


def live(jobs: Iterable[str]) -> set[str]:
    """Those of `jobs` that Slurm still holds. Raises as `queue` does."""
    wanted = set(jobs)
    return wanted & queue().keys() if wanted else set()


def accounting(jobs: Iterable[str]) -> dict[str, EndedJob] | None:
    """What Slurm's accounting says of jobs, by one sacct; None where there is no accounting."""
    lines = _sacct(jobs)
    if lines is None:
        return None
    return {ended.job: ended for ended in map(_parsed, lines)}


def fates(jobs: Iterable[str]) -> dict[str, EndedJob]:
    """How jobs that are over ended: by the accounting, or while the controller remembers them (MinJobAge) by it."""
    wanted = set(jobs)
    if not wanted:
        return {}
    ended = accounting(wanted)
    if ended is None:
        remembered = _patiently(partial(_squeue, ["--states=all"]))
        ended = {job.job: EndedJob(job.job, job.state, node=job.node) for job in remembered}
    return {name: ended[name] for name in wanted & ended.keys()}


def failing_nodes(jobs: Iterable[str], times: int) -> list[str]:
    """Nodes that failed at least so often under these jobs; none where there is no accounting."""
    failures = [ended.node for ended in map(_parsed, _sacct(jobs, "--duplicates") or []) if ended.state == "NODE_FAIL"]
    return sorted(node for node, count in Counter(failures).items() if count >= times and node)


def find_job(name: str) -> str | None:
    """The id of the job that was submitted under this name, held or over; None where Slurm knows of none.

    A job that is over is known where there is accounting, or for a few minutes. Raises as `queue` does.
    """
    for job in _patiently(partial(_squeue, ["--states=all"])):
        if job.name == name:
            return job.job.partition("_")[0]
    command = ["sacct", "-X", "--noheader", "--parsable2", "--starttime=now-30days", f"--name={name}", "--format=JobID"]
    answer = _run(command)
    lines = answer.stdout.split() if answer and not answer.returncode else []
    return lines[0].partition("_")[0] if lines else None


def requeue(job: str) -> str:
    """Puts a running job back into the queue; what scontrol had against it, or nothing."""
    answer = _run(["scontrol", "requeue", job])
    return "scontrol does not answer" if answer is None else answer.stderr.strip() if answer.returncode else ""


def exclude(jobs: Iterable[str], nodes: str) -> None:
    """Keeps jobs that wait away from these nodes, and no others; one that has begun in the meantime is no error."""
    wanted = list(jobs)
    for start in range(0, len(wanted), _TOGETHER):
        _run(["scontrol", "update", f"JobId={','.join(wanted[start : start + _TOGETHER])}", f"ExcNodeList={nodes}"])


def cancel(jobs: Iterable[str]) -> None:
    """scancel; jobs that are over already are no error."""
    subprocess.run(["scancel", *jobs], capture_output=True, timeout=60, check=False)


def _patiently(ask: Callable[[], list[HeldJob]]) -> list[HeldJob]:
    for left in reversed(range(TRIES)):
        try:
            return ask()
        except UserError:
            if not left:
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")


def _squeue(options: list[str]) -> list[HeldJob]:
    command = ["squeue", "--noheader", "--array", "--me", *options, "--format=%i|%T|%r|%N|%j"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, env=_plain_environment("SQUEUE_"))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"squeue does not answer ({error}); is this a login node of the cluster?") from None
    if answer.returncode:
        raise UserError(f"squeue failed: {answer.stderr.strip()}")
    return [HeldJob(*line.split("|", 4)) for line in answer.stdout.splitlines() if line.count("|") >= 4]


def _sacct(jobs: Iterable[str], *options: str) -> list[str] | None:
    """The accounting's lines of jobs, whole arrays asked at once; None where there is no accounting."""
    wanted = {job.partition("_")[0] for job in jobs}
    if not wanted:
        return []
    command = ["sacct", "-X", "--noheader", "--parsable2", *options, f"--jobs={','.join(sorted(wanted))}"]
    answer = _run([*command, "--format=JobID,State,ExitCode,NodeList"])
    return answer.stdout.splitlines() if answer and not answer.returncode else None


def _parsed(line: str) -> EndedJob:
    job, state, code, node = [*line.split("|"), "", "", ""][:4]
    exit_code, _, signal = code.partition(":")
    return EndedJob(job, state.partition(" ")[0], int(exit_code or 0), int(signal or 0), node)


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """One of Slurm's commands; None where it is not there or does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=_plain_environment("SACCT_"))
    except (OSError, subprocess.TimeoutExpired):
        return None


def _plain_environment(prefix: str) -> dict[str, str]:
    """The environment without the user's defaults for a command: SQUEUE_STATES and the like would hide jobs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefix)}


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
