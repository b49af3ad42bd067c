"""A try-out is a variant of its sweep, with a name that says what differs; what changes no result makes none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gta.cli import composing
from gta.compose.hydra import loader_of
from gta.config import Config
from gta.errors import UserError
from gta.fields import result_fields
from gta.sweep import Sweep, folder_name
from launch.grid.grid import configs, expand, master_config, sweep_of


def named(*words: str) -> tuple[str, list[Config]]:
    """What makes a grid a variant, and the configs of its cells."""
    hydra = composing.start()
    loader = loader_of(hydra)
    master = master_config(hydra, composing.protected(words))
    found = configs(loader, master, expand(master, loader))
    return sweep_of(master).variant, found


@pytest.mark.parametrize(
    ("words", "variant"),
    [
        ([], ""),
        (["site=slurm", "site.workers=3", "hydra/launcher=slurm"], ""),
        (["method.label=Ours", "site.device=cpu"], ""),
        (["seed=0,1", "method=gta,supervised,mean_teacher"], ""),
        (["seed=range(0,2)", "schedule.lr=0.1", "data=shapes", "data.root=elsewhere"], ""),
        (["seed=0", "data.root=elsewhere", "data.allow_absent_classes=true"], "seed=0"),
        (["seed=0,1,2"], "seed=0,1,2"),
        (["data.split=1/50"], "data.split=1/50"),
        (["schedule.iterations=9", "seed=0", "method=gta"], "method=gta seed=0 schedule.iterations=9"),
        (["precision=bf16", "precision=fp32", "model.width=4"], "model.width=4"),
        (["schedule=camvid"], "schedule=camvid"),
        (["hydra.sweeper.params.seed=1"], "seed=1"),
        (["~hydra.sweeper.params.seed"], "~hydra.sweeper.params.seed"),
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_a_variant(words: list[str], variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert named("sweep=shapes", *words)[0] == variant


def test_a_cell_that_the_sweep_has_too_is_the_sweeps_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    variant, cells = named("sweep=shapes", "seed=1,2", "data.split=1/50", "method=gta")
    assert variant == "method=gta data.split=1/50 seed=1,2"
    assert [cell.variant for cell in cells] == ["", variant]
    own = map(result_fields, named("sweep=shapes")[1])
    assert result_fields(cells[0]) in list(own), "the same signature: nothing is run twice"


def test_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert named("sweep=shapes", "seed=0", "sweep_name=mine")[0] == ""
    for words in (["sweep=shapes", "sweep_name=camvid"], ["method=gta", "sweep_name=shapes"]):
        with pytest.raises(UserError, match="is the name of a sweep, whose table this would replace"):
            named(*words)
    with pytest.raises(UserError, match="leave it out"):
        named("sweep=shapes", "variant=mine")


def test_more_values_than_a_text_takes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep=shapes", "method=supervised", "data.split=1/50"]
    one, cells = named(*words, "seed=range(0,1200)")
    assert re.fullmatch(r"method=supervised data.split=1/50 seed=0,1,2,\.\.\.\(1200 values, [0-9a-f]{8}\)", one)
    assert len(cells) == 1200
    assert cells[1199].variant == one
    other, _ = named(*words, f"seed={','.join(str(seed) for seed in [*range(1199), 5000])}")
    assert folder_name(one) != folder_name(other), "another grid, another table"


def test_without_a_sweep_there_is_no_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    variant, cells = named("method=gta", "seed=0,1", "data.split=1/50")
    assert (variant, [cell.variant for cell in cells]) == ("", ["", ""])


def test_names_are_safe_readable_and_each_its_own() -> None:
    assert folder_name("") == ""
    assert (
        folder_name("method=supervised,gta data.split=1/50 seed=0") == "method-supervised-gta__data.split-1_50__seed-0"
    )
    twins = ["data.split=1-2", "data.split=1,2", "seed=a__b", "seed=a b", "seed=é", "seed=e", "schedule.lr=1e-3"]
    made = [folder_name(text) for text in twins]
    assert len(set(made)) == len(made)
    long = [folder_name(f"method={','.join(f'method{i}' for i in range(number))}") for number in (20, 21)]
    assert long[0] != long[1]
    assert all(len(name) <= 80 and name.isascii() and "/" not in name and " " not in name for name in [*made, *long])
    assert Sweep("shapes", "seed=0").results("r") == Path("r/shapes/variants/seed-0")
    assert Sweep("shapes").results("r") == Path("r/shapes")
