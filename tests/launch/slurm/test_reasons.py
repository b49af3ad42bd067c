"""Slurm's reasons in plain words, and which of them no waiting mends."""

from __future__ import annotations

import pytest

from launch.slurm.reasons import plain, stuck, way_out
from launch.state.jobs import HeldJob

TOLD = {
    "Priority": "others come first (Priority)",
    "Resources": "no room yet (Resources)",
    "None": "just submitted",
    "QOSMaxJobsPerUserLimit": "at the QOS's limit of jobs for a user (QOSMaxJobsPerUserLimit)",
    "ReqNodeNotAvail, UnavailableNodes:n1,n2": "nodes that it needs are down or reserved (ReqNodeNotAvail)",
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions":
        "nodes that it needs are down or reserved (ReqNodeNotAvail)",
    "BeginTime": "not before its begin time (BeginTime)",
    "Dependency": "waits for another job (Dependency)",
    "PartitionDown": "its Slurm partition is down (PartitionDown)",
    "AssocGrpGRES": "at the account's limit of GPUs (AssocGrpGRES)",
    "AssocGrpCPUMinutesLimit": "the account's hours are used up (AssocGrpCPUMinutesLimit)",
    "ANewWord": "ANewWord",
}  # fmt: skip
STUCK = {
    "JobHeldUser": "held by its user",
    "JobHeldAdmin": "held by an administrator",
    "launch failed requeued held": "could not be started",
    "BadConstraints": "no node has what it asks for",
    "InvalidQOS": "its QOS is not valid",
    "PartitionTimeLimit": "asks for more time than its Slurm partition gives",
    "QOSMaxCpuPerJobLimit": "asks for more CPUs than the QOS gives a job",
    "AssocMaxWallDurationPerJobLimit": "asks for more time than the account gives a job",
    "QOSMinGRES": "asks for fewer GPUs than the QOS wants",
}


@pytest.mark.parametrize("reason", TOLD)
def test_what_others_end_is_waited_for(reason: str) -> None:
    assert plain(reason) == TOLD[reason]
    assert not stuck(HeldJob("57_0", "PENDING", reason))


@pytest.mark.parametrize("reason", STUCK)
def test_what_nobody_else_ends_is_said_to_be_so(reason: str) -> None:
    job = HeldJob("57_0", "PENDING", reason)
    assert STUCK[reason] in plain(reason)
    assert stuck(job)
    assert ("gta release 7a23b7e3`" in way_out(job, "7a23b7e3f353433a")) == ("eld" in reason)


def test_a_job_that_runs_waits_for_nothing() -> None:
    assert not stuck(HeldJob("57_0", "RUNNING", "JobHeldUser"))
    assert stuck(HeldJob("57_0", "REQUEUE_HOLD", "None"))
