"""doctor's questions to Slurm, against stand-ins on PATH that answer like a small cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gta.config import SiteConfig
from gta.finding import Finding, Status
from launch.slurm.check import check_cluster, check_site

ACCOUNTING = "AccountingStorageType = accounting_storage/{}"
SCONTROL = """case "$*" in
  ping) echo "Slurmctld(primary) at here is UP";;
  "show config") echo "{accounting}"; echo "MaxArraySize = {arrays}"; echo "SLURM_VERSION = 22.05.8";;
  *) echo "PartitionName=gpu Default=YES MaxTime=08:00:00 PreemptMode={preempt} GraceTime=30 TotalNodes=4"
     echo "PartitionName=old Default=NO MaxTime=UNLIMITED PreemptMode=OFF State=DOWN TotalNodes=1";;
esac"""
FITS = SiteConfig(partition="gpu", ranks=2, gpus_per_node=2, cpus_per_rank=4, time_limit=480, account="vision")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Asks about a site; the cluster can be told to be different."""

    def ask(
        config: SiteConfig, accounting: str = "slurmdbd", arrays: int = 1001, preempt: str = "OFF", refuse: str = "",
        launcher: str = "slurm",
    ) -> list[Finding]:  # fmt: skip
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        config_line, answer = ACCOUNTING.format(accounting), refuse or "Job 1 to start at noon"
        for name, line in {
            "scontrol": SCONTROL.format(accounting=config_line, arrays=arrays, preempt=preempt),
            "sinfo": "echo 'gpu|32|128000|gpu:a100:4(S:0-1)'",
            "sacct": "exit 0",
            "sbatch": f'{{ echo "$@"; cat; }} >{folder}/said; echo "sbatch: {answer}" >&2; exit {int(bool(refuse))}',
        }.items():
            (folder / name).write_text(f"#!/bin/sh\n{line}\n")
            (folder / name).chmod(0o755)
        # another PATH is another cluster: what one said is remembered
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin:/{accounting}{arrays}{preempt}")
        return list(check_cluster(config, launcher, lambda: "#!/bin/sh\n#SBATCH --account=vision\n"))

    return ask


def problems(lines: list[Finding]) -> list[str]:
    return [f"{line.detail} -> {line.advice}" for line in lines if line.status is Status.PROBLEM]


def test_a_site_that_fits(slurm, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines = slurm(FITS)
    assert not problems(lines)
    said = " ".join(line.detail for line in lines)
    assert "gpu (default) 4 nodes, 4 GPUs a node, 480 minutes" in said
    assert "sacct tells" in said
    assert "MaxArraySize 1001" in said
    assert "takes a job of this site: Job 1 to start at noon" in said
    said = (tmp_path / "bin/said").read_text()
    assert said == "--test-only\n#!/bin/sh\n#SBATCH --account=vision\n", "it is asked about the very script"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"partition": "gpus"}, "site.partition=gpus is not there -> site.partition= one of gpu, old"),
        ({"partition": "old"}, "is down"),
        ({"time_limit": 481}, "site.time_limit=481, and it gives at most 480"),
        ({"gpus_per_node": 8}, "site.gpus_per_node=8, and it gives at most 4"),
        ({"sbatch": {"gpus_per_node": "a100:8"}}, "site.gpus_per_node=8, and it gives at most 4"),
        ({"nodes": 5}, "site.nodes=5, and it gives at most 4"),
        ({"cpus_per_rank": 17}, "site.cpus_per_rank=17, and it gives at most 16"),
        ({"mem_gb": 200}, "site.mem_gb=200, and it gives at most 125"),
    ],
)
def test_a_site_that_asks_for_more_than_there_is(slurm, change: dict[str, object], said: str) -> None:  # type: ignore[no-untyped-def]
    (found,) = problems(slurm(replace(FITS, **change)))  # type: ignore[arg-type]
    assert said in found


def test_the_clusters_own_ways(slurm) -> None:  # type: ignore[no-untyped-def]
    lines = slurm(FITS, accounting="none", preempt="CANCEL")
    assert not problems(lines)
    assert any(line.status is Status.MISSING and line.what == "accounting" for line in lines)
    assert any("multirun submits such cells again; 30 s to save" in line.detail for line in lines)
    assert "no job arrays" in problems(slurm(FITS, arrays=0))[0]
    refused = problems(slurm(FITS, refuse="error: Invalid account or account/partition combination specified"))
    assert refused == [
        "refuses a job of this site (Invalid account or account/partition combination specified) -> "
        "Mend the site: its words are sbatch's options."
    ]
    assert not problems(slurm(replace(FITS, partition="gpus"), launcher="local")), "not asked for"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ranks": 4}, "NCCL wants a GPU for each rank"),
        ({"time_limit": 3}, "site.time_limit=4 or more"),
        ({"device": "cpu"}, "site.gpus_per_node=null"),
    ],
)
def test_a_site_that_contradicts_itself(change: dict[str, object], said: str) -> None:
    assert not problems(list(check_site(FITS, "mine", "slurm")))
    (found,) = problems(list(check_site(replace(FITS, **change), "mine", "slurm")))  # type: ignore[arg-type]
    assert said in found
