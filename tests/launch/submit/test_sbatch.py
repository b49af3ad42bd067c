"""What sbatch is given, and how its answers are read, with stand-ins for Slurm's programs: no Slurm is needed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra.types import RunMode

from gta.compose.hydra import ConfigLoaderImpl
from gta.compose.sbatch import settled
from launch.grid.grid import composer
from launch.slurm import commands as slurm
from launch.state.jobs import HeldJob, Unknown
from launch.submit.executor import one_job
from launch.submit.launcher import slurm_params
from tests.helpers.cells import config
from tests.helpers.configs import changed
from tests.helpers.golden import same_as_golden
from tests.helpers.program import Run

Programs = Callable[..., str]
SITE = """
defaults: [slurm]
account: vision
partition: gpu
nodes: 2
ranks: 2
gpus_per_node: 2
mem_gb: 60
array_parallelism: 2
setup: [module load cuda, ulimit -n 4096]
sbatch: {constraint: a100, requeue: true, exclusive: false}
"""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Makes programs of given names and shell lines; the PATH that finds them first."""

    def make(**lines: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, line in lines.items():
            (folder / name).write_text(f"#!/bin/sh\n{line}\n")
            (folder / name).chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    return make


@pytest.mark.slow
def test_the_script_of_a_site(gta: Run, small: list[str], tmp_path: Path, programs: Programs) -> None:
    path = programs(
        srun="exit 1",
        scontrol="echo 'Slurmctld(primary) at here is UP'; echo 'ClusterName = test'",
        squeue="exit 0",
        sbatch=f"cp $2 {tmp_path}/script.sh; echo 'sbatch: error: Invalid qos specification' >&2; exit 1",
    )
    (tmp_path / "conf/site").mkdir(parents=True)
    (tmp_path / "conf/site/mine.yaml").write_text(SITE)
    site = ["site=mine", "site.qos=long", "schedule.group_size=2"]
    said = gta("multirun", "sweep=shapes", "hydra/launcher=slurm", "seed=0", *small, *site, PATH=path)
    assert said.returncode == 2, said.stdout + said.stderr
    assert "Invalid qos specification): mend the settings of the site" in said.stderr
    script = (tmp_path / "script.sh").read_text().replace(sys.executable, "PYTHON").replace(str(tmp_path), "FOLDER")
    script = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", "TOKEN", script)
    script = re.sub(r"code/[0-9a-f]{12}", "code/TREE", script)
    same_as_golden("sbatch.sh", script)


def options(overrides: list[str], loader: ConfigLoaderImpl, site: dict[str, Any]) -> list[str]:
    """sbatch's options of GPUs, CPUs, memory and time in the script of a cell with the shipped Slurm profile and these
    fields; and the CPUs that srun is told.
    """
    words = ["hydra/launcher=slurm", "method=gta", "data=shapes", "data.split=1/50", "model=tiny", "schedule=shapes"]
    given = [*words, "site=slurm", *overrides]
    master = loader.load_configuration("config", given, RunMode.MULTIRUN)
    made = replace(composer(loader, master)(given[1:]).site, **site)
    script = one_job(slurm_params(master, settled(changed(config(), {"site": made}), overrides).site))
    return re.findall(r"--((?:gpu|gres|cpus|mem|time|exclude)[\w-]*=\S+)", script)


@pytest.mark.parametrize(
    ("overrides", "site", "expected"),
    [
        ([], {}, ["cpus-per-task=5", "gpus-per-node=1", "time=1440", "cpus-per-task=5"]),
        (
            [], {"sbatch": {"gpus-per-node": "a100:4", "cpus_per_task": "7", "time": "60"}},
            ["cpus-per-task=7", "gpus-per-node=a100:4", "time=60", "cpus-per-task=7"],
        ),
        ([], {"gpu_type": "a100"}, ["cpus-per-task=5", "gpus-per-node=a100:1", "time=1440", "cpus-per-task=5"]),
        ([], {"sbatch": {"gres": "gpu:2", "cpus-per-gpu": "3"}}, ["cpus-per-gpu=3", "gres=gpu:2", "time=1440"]),
        (
            ["site.mem_gb=4"], {"mem_gb": 4, "sbatch": {"mem-per-gpu": "1G", "gpus-per-node": "false"}},
            ["cpus-per-task=5", "mem=4GB", "time=1440", "cpus-per-task=5"],
        ),
    ],
)  # fmt: skip
def test_each_option_once_and_the_users_word_counts(
    loader: ConfigLoaderImpl, programs: Programs, monkeypatch: pytest.MonkeyPatch,
    overrides: list[str], site: dict[str, Any], expected: list[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", programs(srun="exit 1"))
    assert options(overrides, loader, site) == expected


def test_jobs_that_slurm_still_holds(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    line = (
        'test "$1 $2 $3" = "--noheader --array --me" && test -z "$SQUEUE_STATES" && '
        'printf "57_0|RUNNING|None|n1|a\\n57_3|PENDING|Priority||a\\n9|PENDING|Resources||a\\n"'
    )
    monkeypatch.setenv("PATH", programs(squeue=line))
    monkeypatch.setenv("SQUEUE_STATES", "PENDING")
    assert slurm.live(["57_0", "57_1", "9", "5"]) == {"57_0", "9"}
    assert slurm.queue()["57_3"] == HeldJob("57_3", "PENDING", "Priority", "", "a")
    assert slurm.live([]) == set()


def test_a_busy_controller_is_asked_again(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "PAUSE_SECONDS", 0.0)
    answer = "echo '57|RUNNING|None|n1|a'"
    once = f"test -e {tmp_path}/asked && {answer} || {{ touch {tmp_path}/asked; echo busy >&2; exit 1; }}"
    monkeypatch.setenv("PATH", programs(squeue=once))
    assert slurm.live(["57"]) == {"57"}

    monkeypatch.setenv("PATH", programs(squeue="echo Unable to contact slurm controller >&2; exit 1"))
    silent = Unknown("Slurm does not answer (Unable to contact slurm controller)", silent=True)
    assert slurm.live(["57"]) == silent, "not knowing is not none"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.queue() == Unknown("no Slurm on this machine", silent=True)


def test_outside_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_JOB_ID": "5",
        "SLURM_MEM_PER_NODE": "500",
        "RANK": "1",
        "SBATCH_ACCOUNT": "vision",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with slurm.outside_of_jobs():
        assert {name for name in given if name in os.environ} == {"SLURM_CONF", "SBATCH_ACCOUNT"}
    assert dict(os.environ) == before

    monkeypatch.delenv("SLURM_JOB_ID")
    with slurm.outside_of_jobs():
        assert os.environ["SLURM_MEM_PER_NODE"] == "500", "the user's own, where there is no job"
