"""What jobs used of what they asked for, by the accounting (sacct): time, memory, cores."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from launch.slurm import cluster, commands
from launch.state.jobs import Unknown

_FIELDS = (
    "JobID", "JobName", "State", "ElapsedRaw", "TimelimitRaw", "AllocCPUS", "NNodes", "NTasks", "TotalCPU", "MaxRSS",
    "ReqMem",
)  # fmt: skip
_MIB = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


@dataclass(frozen=True)
class JobUse:
    """One start of a job. MiB of a node; `cores` that were busy on average, of `cpus`, on all nodes. None: the
    accounting does not say.
    """

    job: str
    name: str
    state: str
    limit_minutes: int | None
    cpus: int
    cores: float | None = None
    memory_mib: float | None = None
    asked_mib: float | None = None


def used(jobs: Iterable[str]) -> list[JobUse] | Unknown | None:
    """Every start of these jobs (57, 57_3) that the accounting knows; None where the cluster keeps none."""
    wanted = set(jobs)
    if not wanted:
        return []
    if cluster.keeps_no_accounts():
        return None
    numbers = sorted({job.partition("_")[0] for job in wanted})
    command = ["sacct", "--noheader", "--parsable2", "--duplicates", "--units=M", f"--jobs={','.join(numbers)}"]
    lines = commands.accounting([*command, f"--format={','.join(_FIELDS)}"])
    if isinstance(lines, Unknown):
        return lines
    return [one for one in _starts(lines) if one.job in wanted]


def _starts(lines: Sequence[str]) -> list[JobUse]:
    """A job's own line comes first, then those of its steps."""
    found: list[JobUse] = []
    for line in lines:
        row = dict(zip(_FIELDS, line.split("|"), strict=False))
        job, _, step = row["JobID"].partition(".")
        if len(row) < len(_FIELDS):
            continue
        if not step:
            found.append(_start(row))
        elif found and found[-1].job == job and (memory := _mib(row["MaxRSS"])) is not None:
            tasks = math.ceil(_whole(row["NTasks"], 1) / max(1, _whole(row["NNodes"], 1)))  # of a node
            before = found[-1].memory_mib or 0.0
            found[-1] = replace(found[-1], memory_mib=before + memory * tasks)
    return found


def _start(row: dict[str, str]) -> JobUse:
    seconds, cpus, nodes = float(_whole(row["ElapsedRaw"], 0)), _whole(row["AllocCPUS"], 0), _whole(row["NNodes"], 1)
    busy = cpu_seconds(row["TotalCPU"])
    asked = _mib(row["ReqMem"])
    if asked is not None and not row["ReqMem"].endswith("n"):  # of a core, before 21.08; since then, of the whole job
        asked *= (cpus if row["ReqMem"].endswith("c") else 1) / max(1, nodes)
    limit = row["TimelimitRaw"]
    return JobUse(
        job=row["JobID"], name=row["JobName"], state=row["State"].partition(" ")[0],
        limit_minutes=int(limit) if limit.isdigit() else None, cpus=cpus,
        cores=busy / seconds if seconds and busy else None, asked_mib=asked or None,
    )  # fmt: skip


def cpu_seconds(text: str) -> float | None:
    """Seconds of sacct's TotalCPU: 00:12.345, 01:02:03, 2-03:04:05; None for what is none."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text.strip())
    if not found:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _mib(text: str) -> float | None:
    """MiB of 123.45M, 8G, 4000Mn; None where nothing is said."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)[nc]?", text.strip())
    return float(found[1]) * _MIB[found[2] or "M"] if found else None


def _whole(text: str, default: int) -> int:
    return int(text) if text.strip().isdigit() else default
