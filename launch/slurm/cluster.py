"""What a Slurm cluster is like, as scontrol and sinfo tell it: limits, Slurm partitions, accounting. Never raises.

Asked once a process: the answers are settings of the cluster, which change seldom. What is not
answered (no Slurm here, a busy controller) is None, or the default that is said, and is asked again the next time.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from gta.compose import sbatch

ASK_SECONDS = 30.0  # for a controller that is busy; sinfo would try for a minute where there is no slurm.conf
_DEFAULTS = ("SINFO_", "SCONTROL_", "SLURM_CLUSTERS")  # of a user, that would hide things, or speak of another cluster
MAX_ARRAY_SIZE = 1001  # Slurm's own default


@dataclass(frozen=True)
class Partition:
    """A Slurm partition. Its nodes may differ: of each number the largest is given."""

    name: str
    up: bool
    default: bool
    max_minutes: int | None  # of a job; None: no limit
    preempt_mode: str  # OFF, REQUEUE, CANCEL, SUSPEND ...
    grace_seconds: int  # between the warning of a preemption and its kill
    nodes: int
    cpus_per_node: int | None = None
    memory_mb_per_node: int | None = None
    gpus_per_node: int | None = None  # None: sinfo did not say


def config() -> dict[str, str]:
    """`scontrol show config`, name -> value as it is written; empty where no controller answers."""
    return _settings(ask("scontrol", "show", "config") or "")


@lru_cache(maxsize=4)
def _settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)\s*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))


def name() -> str | None:
    """Slurm's ClusterName; None where no controller answers."""
    return config().get("ClusterName")


def max_array_size() -> int:
    """MaxArraySize, or what SchedulerParameters' max_array_tasks makes of it; Slurm's default 1001 where unknown.

    An array may have one task less. 0 or 1: this cluster takes no arrays.
    """
    settings = config()
    size = _int(settings.get("MaxArraySize"), MAX_ARRAY_SIZE)
    lower = re.search(r"max_array_tasks=(\d+)", settings.get("SchedulerParameters", ""))
    return min(size, int(lower[1]) + 1) if lower else size


def accounting_on() -> bool:
    """Whether finished jobs are recorded, so that sacct can be asked; False where unknown."""
    kind = config().get("AccountingStorageType", "none")
    return not kind.endswith("none") and kind not in ("", "(null)")


def keeps_no_accounts() -> bool:
    """Whether the cluster says that finished jobs are not recorded; False where unknown."""
    return bool(config()) and not accounting_on()


def partition(name: str | None) -> Partition | None:
    """The Slurm partition of that name (None: the default one), or None where there is none such or nobody answers."""
    known = partitions()
    return next((found for found in known.values() if found.default), None) if name is None else known.get(name)


def partitions() -> dict[str, Partition]:
    """All Slurm partitions that this user sees, by name; empty where no controller answers."""
    found = {}
    nodes = _nodes()
    for line in (ask("scontrol", "show", "partition", "--oneliner") or "").splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        if name := fields.get("PartitionName"):
            cpus, memory, gpus = nodes.get(name, (None, None, None))
            found[name] = Partition(
                name=name,
                up=fields.get("State", "UP") == "UP",
                default=fields.get("Default") == "YES",
                max_minutes=minutes(fields.get("MaxTime", "UNLIMITED")),
                preempt_mode=fields.get("PreemptMode", "OFF").split(",")[0],
                grace_seconds=_int(fields.get("GraceTime"), 0),
                nodes=_int(fields.get("TotalNodes"), 0),
                cpus_per_node=cpus,
                memory_mb_per_node=memory,
                gpus_per_node=gpus,
            )
    return found


def _nodes() -> dict[str, tuple[int, int, int]]:
    """Slurm partition -> the most CPUs, megabytes and GPUs that one of its nodes has."""
    found: dict[str, tuple[int, int, int]] = {}
    for line in (ask("sinfo", "--noheader", "--all", "--format=%R|%c|%m|%G") or "").splitlines():
        name, cpus, memory, gres = [part.strip() for part in (line + "|||").split("|")[:4]]
        row = (_int(cpus, 0), _int(memory, 0), sbatch.gpus_in(gres))
        best = found.get(name, (0, 0, 0))
        found[name] = (max(best[0], row[0]), max(best[1], row[1]), max(best[2], row[2]))
    return found


def minutes(time: str) -> int | None:
    """Whole minutes of Slurm's times (`30`, `1:30:00`, `7-00:00:00`); None for UNLIMITED and the like."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if not found:
        return None
    days, first, second, _ = (int(part) if part else 0 for part in found.groups())
    if found[1] is not None:  # days-hours[:minutes[:seconds]]
        return days * 1440 + first * 60 + second
    return first * 60 + second if found[4] is not None else first  # hours:minutes:seconds, or minutes[:seconds]


def ask(*command: str) -> str | None:
    """What a Slurm program prints; None where it is absent, silent, or fails."""
    try:
        # another PATH or configuration is another cluster
        return _asked(command, os.environ.get("PATH", ""), os.environ.get("SLURM_CONF", ""))
    except (OSError, subprocess.SubprocessError):
        return None


@lru_cache(maxsize=32)
def _asked(command: tuple[str, ...], path: str, slurm_conf: str) -> str:
    """Raises where there is no answer, so that only answers are kept."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_DEFAULTS)}
    answer = subprocess.run(command, capture_output=True, errors="replace", timeout=ASK_SECONDS, env=environment)
    if answer.returncode:
        raise subprocess.CalledProcessError(answer.returncode, command)
    return answer.stdout


def _int(text: str | None, default: int) -> int:
    """The digits that a number begins with (`64+`); `default` for anything else."""
    found = re.match(r"\d+", text or "")
    return int(found[0]) if found else default
