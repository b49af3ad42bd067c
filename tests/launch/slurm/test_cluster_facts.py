"""What scontrol and sinfo say is read as it is meant, and silence is no error; stand-ins on PATH, no Slurm needed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gta.compose import sbatch
from launch.slurm import cluster as cluster_facts

CONFIG = """Configuration data as of 2026-11-22T21:13:31
AccountingStorageType   = accounting_storage/slurmdbd
MaxArraySize            = 501
PreemptMode             = REQUEUE
SchedulerParameters     = bf_interval=2,{parameters}

Slurmctld(primary) at here is UP
"""
PARTITIONS = (
    "PartitionName=gpu AllowGroups=ALL Default=YES GraceTime=30 MaxTime=2-12:30:00 PreemptMode=CANCEL State=UP "
    "TotalCPUs=96 TotalNodes=4 TRES=cpu=96,gres/gpu=10\n"
    "PartitionName=cpu AllowGroups=ALL Default=NO GraceTime=0 MaxTime=UNLIMITED PreemptMode=OFF State=DOWN\n"
)
NODES = "gpu|48+|256000+|gpu:a100:4(S:0-1),tmp:9\ngpu|16|64000|gpu:2\ncpu|64|128000|(null)\n"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Puts scontrol and sinfo on PATH that say what is given."""

    def make(config: str = "", partitions: str = "", nodes: str = "", code: int = 0) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in (("config", config), ("partition", partitions), ("nodes", nodes)):
            (folder / name).write_text(text)
        for name, line in (
            ("scontrol", f'echo x >>{folder}/asked; cat "{folder}/$2"'),
            ("sinfo", f"cat {folder}/nodes"),
        ):
            (folder / name).write_text(f"#!/bin/sh\n{line}\nexit {code}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return folder

    return make


def test_limits_and_accounting(cluster) -> None:  # type: ignore[no-untyped-def]
    folder = cluster(CONFIG.format(parameters="max_array_tasks=99"))
    assert cluster_facts.max_array_size() == 100, "the lower of the two, as MaxArraySize counts"
    assert cluster_facts.accounting_on()
    assert (folder / "asked").read_text().count("x") == 1, "asked once a process"


def test_partitions(cluster) -> None:  # type: ignore[no-untyped-def]
    cluster("", PARTITIONS, NODES)
    default = cluster_facts.partition(None)
    assert default == cluster_facts.Partition("gpu", True, True, 3630, "CANCEL", 30, 4, 48, 256000, 4)
    other = cluster_facts.partition("cpu")
    assert other is not None
    assert (other.up, other.max_minutes, other.gpus_per_node) == (False, None, 0)
    assert cluster_facts.partition("none such") is None
    assert other.preempt_mode == "OFF"


def test_without_accounting_and_with_slurms_own_array_limit(cluster) -> None:  # type: ignore[no-untyped-def]
    cluster("AccountingStorageType   = (null)\nMaxArraySize            = 0\n")
    assert not cluster_facts.accounting_on()
    assert cluster_facts.max_array_size() == 0


def test_silence_is_no_error_and_is_not_remembered(cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    folder = cluster(CONFIG.format(parameters=""), PARTITIONS, NODES, code=1)
    assert (cluster_facts.max_array_size(), cluster_facts.accounting_on()) == (1001, False)
    assert (cluster_facts.partition("gpu"), cluster_facts.partitions()) == (None, {})
    (folder / "scontrol").write_text((folder / "scontrol").read_text().replace("exit 1", "exit 0"))
    assert cluster_facts.max_array_size() == 501, "asked again"
    assert cluster_facts.partition("gpu").gpus_per_node is None, "sinfo is silent still"  # type: ignore[union-attr]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cluster_facts.max_array_size() == 1001, "no Slurm at all"


def test_a_program_that_hangs_costs_seconds(cluster, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    (cluster() / "scontrol").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(cluster_facts, "ASK_SECONDS", 0.2)
    began = time.monotonic()
    assert cluster_facts.config() == {}
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("time", "expected"),
    [("30", 30), ("90:30", 90), ("2:30:00", 150), ("1-00:00:00", 1440), ("2-12", 3600), ("UNLIMITED", None)],
)
def test_minutes(time: str, expected: int | None) -> None:
    assert cluster_facts.minutes(time) == expected


@pytest.mark.parametrize(
    ("gres", "expected"),
    [
        ("(null)", 0),
        ("gpu:2", 2),
        ("gpu:a100:4(S:0-1)", 4),
        ("gpu:a100:4(S:0,1),gpu:v100:2,shard:8", 6),
        ("gpumem:8", 0),
        ("gpu", 1),
        ("gpu:a100", 1),
        ("lscratch:10", 0),
        ("lscratch:10,gpu:a100,gpu:v100:2", 3),
        ("gpu:0", 0),
    ],
)
def test_gpus(gres: str, expected: int) -> None:
    assert sbatch.gpus_in(gres) == expected
