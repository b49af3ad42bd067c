"""`retry`: which words are resources, and what they mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gta.cli.retry import as_settings, minutes
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.program import Run
from tests.helpers.slurm import until


def test_resources_are_settings_of_the_site() -> None:
    asked = {"mem": 64, "time": 120, "constraint": "a100", "gpus": 0, "exclude": "n1,n2", "qos": None}
    assert as_settings(asked) == [
        "site.mem_gb=64", "site.time_limit=120", "site.constraint='a100'", "site.gpus_per_node=0",
        "site.exclude='n1,n2'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("90m", 90), ("1.5h", 90), ("1d", 1440), ("2:30:00", 150), ("1-00:00:30", 1441)],
)
def test_times(text: str, value: int) -> None:
    assert minutes(text) == value


@pytest.mark.slow
def test_more_memory_on_a_site_that_asks_for_it_by_gpu(
    say: Run, small: list[str], tmp_path: Path, fake_slurm: FakeSlurm
) -> None:
    (tmp_path / "conf/site").mkdir(parents=True)
    words = "sbatch: {mem-per-gpu: 1G, gpus_per_node: 'a100:2'}"
    (tmp_path / "conf/site/mine.yaml").write_text(f"defaults: [slurm]\n{words}\n")
    grid = ["sweep=shapes", "method=supervised", "seed=0", *small, "hydra/launcher=slurm", "site=mine", "--no-wait"]
    assert say("multirun", *grid).returncode == 0
    fake_slurm.set("57", state="OUT_OF_MEMORY")

    def submitted_again() -> bool:
        again = say("retry", *grid, "--oom", "--mem", "4")
        assert again.returncode == 0, again.stdout + again.stderr
        return "No cell of this grid ran out of memory" not in again.stdout

    until(submitted_again)  # squeue's last answer counts for some seconds
    asked = [re.findall(r"--((?:mem|gpus)\S*)", script) for script in fake_slurm.scripts().values()]
    assert asked == [["gpus-per-node=a100:2", "mem-per-gpu=1G"], ["gpus-per-node=a100:2", "mem=4GB"]]
