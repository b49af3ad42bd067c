"""squeue, sacct, scancel, and what scontrol is told. (sbatch: `submitting`; srun: `interactive`; limits: `cluster`.)"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from gta.errors import UserError
from launch.slurm import cluster
from launch.state.jobs import FINAL, EndedJob, HeldJob, Queue, Silent, Unknown

TRIES = 2  # a busy controller refuses a question now and then; who waits asks again anyway
PAUSE_SECONDS = 1.0
ASK_SECONDS = 60.0
_TOGETHER = 500  # jobs of one command line
_OVER = ("Invalid job id", "already completing or completed")  # scancel of a job that is over
SILENCE = re.compile(
    r"timed? ?out|unable to contact|unable to connect|connection (?:refused|reset|timed)|communication|zero bytes|"
    r"transport endpoint|not responding|slurm_receive",
    re.IGNORECASE,
)
_Job = TypeVar("_Job")
_RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def available() -> bool:
    """Whether a Slurm controller answers on this machine, now."""
    if not installed():
        return False
    try:
        answer = subprocess.run(["scontrol", "ping"], capture_output=True, errors="replace", timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return " UP" in answer.stdout


def installed() -> bool:
    """Whether Slurm's programs are on the PATH. Their controller may be silent all the same."""
    return shutil.which("scontrol") is not None


def configured() -> bool:
    """Whether this machine belongs to a cluster: `scontrol ping` needs no controller that answers, but a slurm.conf."""
    answer = _run(["scontrol", "ping"]) if installed() else None
    if answer is None:
        return installed()  # it takes its time: somebody is busy
    return "Slurmctld" in answer.stdout


def this_cluster() -> str:
    """The name of the Slurm that jobs are sent to. Raises Silent, and UserError where the environment names others."""
    for name in ("SBATCH_CLUSTERS", "SLURM_CLUSTERS"):
        if other := os.environ.get(name):
            raise UserError(
                f"{name}={other}: cells are watched where they were sent from; unset it, and run this on a login node "
                "of that cluster."
            )
    if (here := cluster.name()) is None:
        raise Silent(Unknown("Slurm does not answer (scontrol)", silent=True))
    return here


def queue() -> Queue:
    """All jobs of this user that Slurm holds, each task of an array by itself: pending, running, on their way out."""
    held = _patiently(_held)
    return held if isinstance(held, Unknown) else {job.job: job for job in held}


def live(jobs: Iterable[str]) -> set[str] | Unknown:
    """Those of `jobs` that Slurm still holds."""
    wanted = set(jobs)
    if not wanted:
        return set()
    held = queue()
    return held if isinstance(held, Unknown) else wanted & held.keys()


def remembered() -> dict[str, HeldJob | EndedJob] | Unknown:
    """The jobs of this user that Slurm holds, and those that are over and not forgotten yet (MinJobAge)."""
    jobs = _patiently(_remembered)
    return jobs if isinstance(jobs, Unknown) else {job.job: job for job in jobs}


def accounted(jobs: set[str]) -> dict[str, EndedJob] | Unknown:
    """What the accounting says of jobs, each by its latest start; empty where the cluster keeps none.

    It is written after the fact, for hours where its database is down, and calls jobs RUNNING that are over.
    """
    lines = _sacct(jobs)
    return lines if isinstance(lines, Unknown) else {one.job: one for one in map(_parsed, lines) if one.job in jobs}


def failing_nodes(jobs: Iterable[str], times: int) -> list[str]:
    """Nodes that failed at least so often under these jobs; none where there is no accounting."""
    lines = _sacct(jobs, "--duplicates")
    ended = [] if isinstance(lines, Unknown) else map(_parsed, lines)
    failures = [one.node for one in ended if one.state == "NODE_FAIL"]
    return sorted(node for node, count in Counter(failures).items() if count >= times and node)


def find_job(name: str) -> str | Unknown | None:
    """The id of the job that was submitted under this name, held or over; None where Slurm knows of none.

    A job that is over is known where there is accounting, or for a few minutes.
    """
    jobs = _patiently(_remembered)
    if isinstance(jobs, Unknown):
        return jobs
    for job in jobs:
        if job.name == name:
            return job.job.partition("_")[0]
    command = ["sacct", "-X", "--noheader", "--parsable2", "--starttime=now-30days", f"--name={name}", "--format=JobID"]
    lines = accounting(command)
    if isinstance(lines, Unknown):
        return lines
    return lines[0].partition("_")[0] if lines else None


def requeue(job: str) -> str | Unknown:
    """Puts a running job back into the queue, and answers as `scontrol`."""
    return scontrol("requeue", job)


def scontrol(*words: str) -> str | Unknown:
    """Tells the controller something; what it had against it, or nothing. Unknown where it is silent."""
    answer = _run(["scontrol", *words])
    if answer is None:
        return Unknown("scontrol does not answer", silent=True)
    said = " ".join(answer.stderr.split()) or "scontrol failed" if answer.returncode else ""
    return Unknown(said, silent=True) if SILENCE.search(said) else said


def exclude(jobs: Iterable[str], nodes: str) -> None:
    """Keeps jobs that wait away from these nodes, and no others; one that has begun in the meantime is no error."""
    wanted = list(jobs)
    for start in range(0, len(wanted), _TOGETHER):
        _run(["scontrol", "update", f"JobId={','.join(wanted[start : start + _TOGETHER])}", f"ExcNodeList={nodes}"])


def cancel(jobs: Mapping[str, str]) -> set[str] | Unknown:
    """scancel of jobs, id -> name, where Slurm holds them under that name at this moment: an id may be another job's by
    now. The ids of those that were ended; jobs that are over already are no error.
    """
    held = queue()
    if isinstance(held, Unknown):
        return held
    ours = [job for job, name in jobs.items() if job in held and held[job].name == name]
    for start in range(0, len(ours), _TOGETHER):
        answer = _run(["scancel", *ours[start : start + _TOGETHER]])
        if answer is None:
            return Unknown("Slurm does not answer (scancel)", silent=True)
        if answer.returncode:
            said = [line.strip() for line in answer.stderr.splitlines() if line.strip()] or ["scancel failed"]
            if against := [line for line in said if not any(words in line for words in _OVER)]:
                return Unknown(against[-1], silent=True)
    return set(ours)


def _patiently(ask: Callable[[], list[_Job] | Unknown]) -> list[_Job] | Unknown:
    """squeue's answer; a controller that is busy for a moment is asked once more."""
    for _ in range(TRIES - 1):
        if not isinstance(said := ask(), Unknown):
            return said
        time.sleep(PAUSE_SECONDS)
    return ask()


def _held() -> list[HeldJob] | Unknown:
    """The jobs that the controller holds."""
    lines = _squeue("--format=%i|%T|%r|%N|%j", 5)
    if isinstance(lines, Unknown):
        return lines
    return [HeldJob(job, state, reason, node, name) for job, state, reason, node, name in lines]


def _remembered() -> list[HeldJob | EndedJob] | Unknown:
    """The jobs that the controller holds, and those that it has not forgotten yet, with their wait status."""
    # with a bar behind it, a column is as wide as it needs to be
    columns = "--Format=JobArrayID:|,State:|,Reason:|,NodeList:|,exit_code:|,RestartCnt:|,StartTime:|,Name:|"
    lines = _squeue(columns, 8, "--states=all")
    if isinstance(lines, Unknown):
        return lines
    found: list[HeldJob | EndedJob] = []
    for job, state, reason, node, status, restarts, start, name in lines:
        name = name.removesuffix("|")
        if state in FINAL:
            waited = int(status) if status.isdigit() else 0
            found.append(EndedJob(job, state, waited >> 8, waited & 0x7F, node, name))
        else:
            expected = _moment(start) if state == "PENDING" else None  # as `squeue --start` has it
            before = int(restarts) if restarts.isdigit() else None
            found.append(HeldJob(job, state, reason, node, name, before, expected))
    return found


def _moment(text: str) -> float | None:
    """Unix seconds of a time of Slurm's; None for N/A and whatever else is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _squeue(columns: str, count: int, *options: str) -> list[list[str]] | Unknown:
    """The columns of this user's jobs, a list a job."""
    command = ["squeue", "--noheader", "--array", "--me", *options, columns]
    try:
        answer = subprocess.run(
            command, capture_output=True, errors="replace", timeout=ASK_SECONDS, env=_plain_environment()
        )
    except FileNotFoundError:
        return Unknown("no Slurm on this machine", silent=True)
    except (OSError, subprocess.TimeoutExpired):
        return Unknown("Slurm does not answer (squeue)", silent=True)
    if answer.returncode:
        said = answer.stderr.strip().splitlines()
        return Unknown(f"Slurm does not answer ({said[-1] if said else 'squeue failed'})", silent=True)
    return [line.split("|", count - 1) for line in answer.stdout.splitlines() if line.count("|") >= count - 1]


def _sacct(jobs: Iterable[str], *options: str) -> list[str] | Unknown:
    """The accounting's lines of jobs, whole arrays asked at once; none where there is no accounting."""
    wanted = {job.partition("_")[0] for job in jobs}
    if not wanted:
        return []
    command = ["sacct", "-X", "--noheader", "--parsable2", *options, f"--jobs={','.join(sorted(wanted))}"]
    return accounting([*command, "--format=JobID,State,ExitCode,NodeList,JobName"])


def accounting(command: list[str]) -> list[str] | Unknown:
    """What sacct prints to this command line; nothing where the cluster keeps no accounts."""
    answer = _run(command)
    if answer is not None and not answer.returncode:
        return answer.stdout.splitlines()
    if cluster.keeps_no_accounts():
        return []
    return Unknown("the accounting does not answer (sacct)")


def _parsed(line: str) -> EndedJob:
    job, state, code, node, name = [*line.split("|", 4), "", "", "", ""][:5]
    exit_code, _, signal = code.partition(":")
    return EndedJob(job, state.partition(" ")[0], int(exit_code or 0), int(signal or 0), node, name)


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """One of Slurm's commands; None where it is not there or does not answer."""
    try:
        return subprocess.run(
            command, capture_output=True, errors="replace", timeout=ASK_SECONDS, env=_plain_environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _plain_environment() -> dict[str, str]:
    """The environment without the user's defaults for commands: SQUEUE_STATES and the like would hide jobs, and
    SLURM_CLUSTERS speak of another cluster, and SLURM_TIME_FORMAT write times otherwise.
    """
    prefixes = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


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
