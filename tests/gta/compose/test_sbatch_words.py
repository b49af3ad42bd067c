"""Words of `site.sbatch` beside the site's fields, and what is said on the command line beside both."""

from __future__ import annotations

import pytest

from gta.compose import sbatch
from gta.config import SiteConfig
from gta.errors import UserError
from tests.helpers.cells import config
from tests.helpers.configs import changed

FILE = {"mem-per-gpu": "8G", "gres": "gpu:a100:2,lscratch:10", "nice": "100"}


@pytest.mark.parametrize(
    ("overrides", "left"),
    [
        ([], FILE),
        (["seed=0", "site.partition=gpu"], FILE),
        (["site.mem_gb=64"], {"gres": FILE["gres"], "nice": "100"}),
        (["site.mem_gb=null"], FILE),
        (["site.mem_gb=64", "++site.sbatch.mem_per_gpu=8G"], FILE),
        (["++site.sbatch.mem-per-gpu=8G", "site.mem_gb=64"], {"gres": FILE["gres"], "nice": "100"}),
        (["++site.sbatch={mem_per_gpu: 8G}", "site.mem_gb=64"], {"gres": FILE["gres"], "nice": "100"}),
        (["site.gpus_per_node=4"], {"mem-per-gpu": "8G", "nice": "100"}),
        (["site.cpus_per_rank=4", "site.time_limit=60"], FILE),
    ],
)
def test_the_command_line_replaces_words_of_the_file(overrides: list[str], left: dict[str, str]) -> None:
    made = changed(config(), {"site.sbatch": FILE})
    assert sbatch.settled(made, overrides).site.sbatch == left


def test_a_word_of_the_command_line_replaces_its_rivals_in_the_file() -> None:
    made = changed(config(), {"site.sbatch": {"mem-per-gpu": "8G", "mem": "60G"}})
    assert sbatch.settled(made, ["++site.sbatch.mem=60G"]).site.sbatch == {"mem": "60G"}


@pytest.mark.parametrize(
    ("words", "gpus"),
    [
        ({}, 1),
        ({"gres": "lscratch:10"}, 1),
        ({"gpus_per_node": "a100:4"}, 4),
        ({"gpus-per-node": "false"}, 0),
        ({"gres": "gpu:a100:2,lscratch:10"}, 2),
        ({"gres": "gpu"}, 1),
        ({"gpus-per-task": "2"}, 8),
        ({"gpus": "a100:3,v100:1"}, 2),
    ],
)
def test_gpus_a_node(words: dict[str, str], gpus: int) -> None:
    assert sbatch.gpus_per_node(SiteConfig(ranks=4, nodes=2, gpus_per_node=1, sbatch=words)) == gpus


@pytest.mark.parametrize("word", ["ntasks_per_node", "job-name", "array", "wait"])
def test_words_that_are_not_a_sites_are_refused(word: str) -> None:
    with pytest.raises(UserError, match=rf"site\.sbatch\.{word.replace('_', '-')}: .*; leave it out"):
        sbatch.check_site(SiteConfig(sbatch={word: "4"}))


def test_a_kind_of_gpu_wants_a_number() -> None:
    with pytest.raises(UserError, match="say how many"):
        sbatch.check_site(SiteConfig(gpu_type="a100"))
    sbatch.check_site(SiteConfig(gpu_type="a100", gpus_per_node=4))
