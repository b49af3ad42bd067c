"""Jobs as a scheduler tells of them: those that it holds, and those that are over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeldJob:
    """A job, or a task of an array, that Slurm holds."""

    job: str  # 57, or 57_3
    state: str  # PENDING, RUNNING, COMPLETING, REQUEUED ...
    reason: str = ""  # why it waits: Priority, Resources, BeginTime ...
    node: str = ""
    name: str = ""


@dataclass(frozen=True)
class EndedJob:
    """What Slurm says of a job that is over (or of its latest turn, when it was requeued)."""

    job: str
    state: str  # COMPLETED, FAILED, TIMEOUT, PREEMPTED, NODE_FAIL, OUT_OF_MEMORY, CANCELLED ...
    code: int = 0
    signal: int = 0
    node: str = ""
