"""Why a job waits: Slurm's word in plain words, and whether it can ever start by itself."""

from __future__ import annotations

import re

from launch.state.jobs import HeldJob

_PLAIN = {
    "None": "just submitted",
    "Priority": "others come first",
    "Resources": "no room yet",
    "BeginTime": "not before its begin time",
    "Dependency": "waits for another job",
    "DependencyNeverSatisfied": "the job that it waits for failed",
    "JobArrayTaskLimit": "as many of its array run as may",
    "PartitionDown": "its Slurm partition is down",
    "PartitionInactive": "its Slurm partition starts nothing now",
    "PartitionNodeLimit": "asks for more nodes than its Slurm partition gives",
    "PartitionTimeLimit": "asks for more time than its Slurm partition gives",
    "NodeDown": "the node that it needs is down",
    "ReqNodeNotAvail": "nodes that it needs are down or reserved",
    "Reservation": "waits for its reservation",
    "ReservationDeleted": "its reservation was deleted",
    "Licenses": "waits for a licence",
    "Cleaning": "its last start is being cleaned up",
    "Prolog": "the node is being prepared",
    "BadConstraints": "no node has what it asks for",
    "JobHeldUser": "held by its user",
    "JobHeldAdmin": "held by an administrator, or by Slurm",
    "InvalidAccount": "its account is not valid",
    "InvalidQOS": "its QOS is not valid",
    "AccountNotAllowed": "its account may not use this Slurm partition",
    "QOSNotAllowed": "its QOS may not use this Slurm partition",
    "AssociationJobLimit": "as many jobs of the account run as may",
    "AssociationResourceLimit": "the account uses all that it may",
    "AssociationTimeLimit": "the account's hours are used up",
    "QOSJobLimit": "as many jobs of the QOS run as may",
    "QOSResourceLimit": "the QOS uses all that it may",
    "QOSTimeLimit": "the QOS's hours are used up",
    "JobLaunchFailure": "it could not be started, and is held",
    "JobHoldMaxRequeue": "held: it was put back too often",
}
_STUCK = {
    "DependencyNeverSatisfied", "PartitionNodeLimit", "PartitionTimeLimit", "ReservationDeleted", "BadConstraints",
    "JobHeldUser", "JobHeldAdmin", "InvalidAccount", "InvalidQOS", "AccountNotAllowed", "QOSNotAllowed",
    "JobLaunchFailure", "JobHoldMaxRequeue",
}  # fmt: skip
_HELD = ("JobHeld", "JobHoldMaxRequeue", "JobLaunchFailure")
_UNITS = {
    "Cpu": "CPUs", "CPU": "CPUs", "Cpus": "CPUs", "GRES": "GPUs", "Gres": "GPUs", "Mem": "memory", "Memory": "memory",
    "Node": "nodes", "Nodes": "nodes", "Jobs": "jobs", "Submit": "jobs", "Wall": "time", "WallDuration": "time",
}  # fmt: skip
_FOR = {"PerUser": "a user", "PerAccount": "an account", "PerNode": "a node"}
# AssocGrpCPUMinutesLimit, QOSMaxJobsPerUserLimit, MaxGRESPerAccount ...
_LIMIT = re.compile(rf"(Assoc|QOS)?(Grp|Max|Min)({'|'.join(sorted(_UNITS, key=len, reverse=True))})(.*)")


def plain(reason: str) -> str:
    """Slurm's reason in plain words, with its own word behind them; that alone where nobody knows a better one."""
    word = _word(reason)
    if not word or word == "None":
        return _PLAIN["None"]
    said = _PLAIN.get(word) or _limit(word)
    return f"{said} ({word})" if said else reason.strip()


def stuck(job: HeldJob) -> bool:
    """Whether a job that waits will do so until somebody does something: it is held, or asks for what it never gets."""
    return held(job) or (job.state == "PENDING" and _never(_word(job.reason)))


def held(job: HeldJob) -> bool:
    """Whether a job waits until it is released."""
    if job.state in ("REQUEUE_HOLD", "SPECIAL_EXIT"):
        return True
    return job.state == "PENDING" and _word(job.reason).startswith(_HELD)


def way_out(job: HeldJob, cell: str) -> str:
    """What to do about a job that is stuck, of the cell of this signature."""
    if held(job):
        return f"`gta release {cell[:8]}` lets it go"
    return "cancel it (`gta cancel`), then `gta retry` with what the cluster has"


def why(job: HeldJob, cell: str) -> str:
    """Why the job of the cell of this signature waits, and, where it is stuck, what to do about it."""
    said = plain(job.reason)
    return f"{said}; {way_out(job, cell)}" if stuck(job) else said


def _word(reason: str) -> str:
    """The reason's own word: behind it Slurm may name nodes, and some reasons are sentences."""
    text = reason.strip()
    if text in ("launch failed requeued held", "launch_failed_requeued_held"):
        return "JobLaunchFailure"
    if text.replace("_", " ") == "job requeued in held state":
        return "JobHeldAdmin"
    if text.startswith("Nodes required for job are DOWN"):
        return "ReqNodeNotAvail"
    return re.split(r"[,( ]", text, maxsplit=1)[0]


def _never(word: str) -> bool:
    """A limit of a single job, or a least that it does not reach, is one that no other job's end changes."""
    if word in _STUCK:
        return True
    found = _LIMIT.fullmatch(word)
    if not found:
        return False
    _, bound, unit, rest = found.groups()
    return bound == "Min" or "PerJob" in rest or (bound == "Max" and unit.startswith("Wall"))


def _limit(word: str) -> str:
    found = _LIMIT.fullmatch(word)
    if not found:
        return ""
    who, bound, unit, rest = found.groups()
    owner = {"Assoc": "the account", "QOS": "the QOS"}.get(who, "the cluster")
    unit = _UNITS[unit]
    if "Minutes" in rest:
        return f"{owner}'s hours are used up"
    if bound == "Min":
        return f"asks for fewer {unit} than {owner} wants"
    if _never(word):
        return f"asks for more {unit} than {owner} gives a job"
    whose = next((f" for {name}" for key, name in _FOR.items() if key in rest), "")
    return f"at {owner}'s limit of {unit}{whose}"
