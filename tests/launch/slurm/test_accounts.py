"""What the accounting says of jobs' memory, cores and time, in the words of sacct 22 and of older ones."""

from __future__ import annotations

import pytest

from launch.slurm import accounts
from launch.slurm.accounts import JobUse
from launch.state.jobs import Unknown
from tests.helpers.fake_slurm import FakeSlurm

# JobID|JobName|State|ElapsedRaw|TimelimitRaw|AllocCPUS|NNodes|NTasks|TotalCPU|MaxRSS|ReqMem
LINES = """\
57_0|toy-a|PREEMPTED|100|1440|8|1||01:40.500||8192M
57_0.batch|batch|CANCELLED|100||8|1|1|00:00.100|10.50M|
57_0.0|python|CANCELLED|100||8|1|4|01:40.400|1000M|
57_0|toy-a|COMPLETED|3600|1440|8|1||1-02:00:00||8192M
57_0.batch|batch|COMPLETED|3600||8|1|1|00:00.100|12M|
57_0.extern|extern|COMPLETED|3600||8|1|1|00:00.001|0|
57_0.0|python|COMPLETED|3600||8|1|4|02:00:00|1500M|
57_1|toy-a|OUT_OF_MEMORY|50|UNLIMITED|16|2||00:00:00||4Gc
57_1.0|python|OUT_OF_MEMORY|50||16|2|4|00:00:00|2G|
57_2|toy-a|RUNNING|50|30|1|1||00:00:00||
57_3|toy-a|COMPLETED|3600|120|16|2||00:00:00||131072M
57_4|toy-a|COMPLETED|3600|120|16|2||00:00:00||64Gn
58|other|COMPLETED|5|30|1|1||00:05||1Gn
"""


@pytest.fixture
def sacct(fake_slurm: FakeSlurm) -> FakeSlurm:
    (fake_slurm.bin / "lines").write_text(LINES)
    (fake_slurm.bin / "sacct").write_text(f'#!/bin/sh\necho "$@" >{fake_slurm.bin}/asked\ncat {fake_slurm.bin}/lines\n')
    return fake_slurm


def test_each_start_of_a_job_has_the_memory_of_its_steps(sacct: FakeSlurm) -> None:
    found = accounts.used({"57_0", "57_1", "57_2"})
    assert found == [
        JobUse("57_0", "toy-a", "PREEMPTED", 1440, 8, 1.005, 4010.5, 8192.0),
        JobUse("57_0", "toy-a", "COMPLETED", 1440, 8, 26.0, 6012.0, 8192.0),
        JobUse("57_1", "toy-a", "OUT_OF_MEMORY", None, 16, None, 4096.0, 32768.0),
        JobUse("57_2", "toy-a", "RUNNING", 30, 1),
    ]
    asked = (sacct.bin / "asked").read_text().split()
    assert "--jobs=57" in asked, "an array is asked for at once"


def test_what_was_asked_for_is_of_a_node(sacct: FakeSlurm) -> None:
    """Since 21.08 sacct tells what the whole job asked for; before, with a suffix, of a node or a core."""
    found = accounts.used({"57_1", "57_3", "57_4"})
    assert isinstance(found, list)
    assert {one.job: one.asked_mib for one in found} == {"57_1": 32768.0, "57_3": 65536.0, "57_4": 65536.0}


def test_an_accounting_that_does_not_answer_is_there(fake_slurm: FakeSlurm) -> None:
    fake_slurm.switch(broken={"sacct": "sacct: error: slurmdbd is away"})
    assert isinstance(accounts.used({"57"}), Unknown)


def test_a_cluster_without_accounting(fake_slurm: FakeSlurm) -> None:
    fake_slurm.switch(config={"AccountingStorageType": "accounting_storage/none"}, accounting=False)
    assert accounts.used({"57"}) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:12.345", 12.345), ("01:02:03", 3723), ("2-03:04:05", 183845), ("", None), ("INVALID", None)],
)
def test_times_of_cores(text: str, seconds: float | None) -> None:
    assert accounts.cpu_seconds(text) == seconds
