"""Cells that a sweep's file declares to be trained alike, and those that it varies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gta.cli import composing, table
from launch.grid.grid import sweep_of
from tests.helpers.cells import scored

FILE = """# gta multirun sweep=own
defaults:
  - override /data: shapes
  - override /model: tiny
  - override /schedule: shapes
hydra:
  sweeper:
    params:
      method: supervised,gta
      data.split: 1/5
      seed: 0
      schedule.iterations: 6,8
"""


@pytest.fixture
def own(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Writes the sweep `own` of that text, and of what `small` sets; the words that ask for it."""
    monkeypatch.chdir(tmp_path)
    paths = [word for word in small if word.startswith("paths.")]
    settings = [word for word in small if not word.startswith(("paths.", "data.split", "schedule.iterations"))]

    def write(text: str) -> list[str]:
        (tmp_path / "sweeps").mkdir()
        (tmp_path / "sweeps/own.yaml").write_text(text + OmegaConf.to_yaml(OmegaConf.from_dotlist(settings)))
        return ["sweep=own", *paths]

    return write


def mixed(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """What the sweep's file varies, and what --strict refuses of a grid whose cells are all done."""
    master, found = composing.grid(words)
    for cell in found:
        scored(cell, 50.0)
    sweep = sweep_of(master)
    return sweep.axes, table.build(sweep, composing.look(found), words)[1].mixed


def test_what_the_file_varies_may_differ_and_nothing_else(small: list[str], own: Callable[[str], list[str]]) -> None:
    words = own(FILE)
    axes = ("method", "data.split", "seed", "schedule.iterations")
    assert mixed([*words, "schedule.iterations=5,7", "schedule.lr=0.5"]) == (axes, []), "other values of what is varied"
    found, (said,) = mixed([*words, "method=gta", "schedule.lr=0.1,0.2"])
    assert found == axes
    assert said.startswith("training settings that no file of a sweep varies (SGD, lr 0.1 (gta iterations=6 lr=0.1")
    found, (said,) = mixed(
        [*words, "schedule.iterations=6", "method=gta", '+hydra.sweeper.params.schedule="shapes,camvid"']
    )
    assert found == axes, "of the file, not of the command line"
    assert said.startswith("training settings that no file of a sweep varies (SGD, lr")
    found, (said,) = mixed([*small, "sweep_name=mine", "method=gta", "schedule.iterations=6,8"])
    assert found == (), "no file says so"
    assert "6 iterations (gta iterations=6), 8 iterations (gta iterations=8)" in said


def test_a_group_of_ones_own_that_the_file_varies_may_differ_and_nothing_within_it(
    tmp_path: Path, own: Callable[[str], list[str]]
) -> None:
    text = FILE.replace("schedule.iterations: 6,8", "+recipe: long,brief").replace("supervised,gta", "gta")
    words = own(text)
    (tmp_path / "conf/recipe").mkdir(parents=True)
    for name, iterations in (("long", 8), ("brief", 6)):
        made = f"# @package _global_\nmethod: {{label: {name}}}\nschedule: {{iterations: {iterations}}}\n"
        (tmp_path / f"conf/recipe/{name}.yaml").write_text(made)
    axes = ("method", "data.split", "seed", "recipe")
    assert mixed(words) == (axes, [])
    found, (said,) = mixed([*words, "schedule.weight_decay=0.0001,0.01"])
    assert found == axes
    assert said.startswith("training settings that no file of a sweep varies (SGD, lr 0.1 (")
    assert "SGD, lr 0.1, weight decay 0.01 (" in said


def test_views_may_differ_where_the_file_varies_them(small: list[str], own: Callable[[str], list[str]]) -> None:
    words = own(FILE.replace("schedule.iterations: 6,8", "augment: plain,gta"))
    assert mixed([*words, "method=gta"]) == (("method", "data.split", "seed", "augment"), [])


def test_views_that_the_file_does_not_vary_are_refused(small: list[str], own: Callable[[str], list[str]]) -> None:
    words = own(FILE)
    _, (said,) = mixed([*words, "method=gta", "schedule.iterations=6", "augment=plain,gta"])
    assert "plain views (" in said
    assert "views gta/u2pl (" in said


def test_seeds_of_one_mean_are_trained_alike_whatever_the_file_varies(
    small: list[str], own: Callable[[str], list[str]]
) -> None:
    """Also in settings of which the footer has no words; columns may differ by what they are."""
    words = [*own(FILE.replace("seed: 0", "seed: 0,1").replace("6,8", "6")), "method=gta"]
    assert mixed([*words, "data.split=1/5,1/2", "schedule.iterations=0", "schedule.epochs=6"])[1] == []
    _, said = mixed([*words, "schedule.lr=0.${seed}1", "schedule.warm_up=${seed}", "schedule.lr_warm_up=${seed}"])
    (told,) = said
    assert told.startswith("settings that differ between the seeds of one mean (")
    assert "schedule.lr 0.01 (seed 0), 0.11 (seed 1) of gta 1/5 (8)" in told
    assert "schedule.warm_up 0 (seed 0), 1 (seed 1) of gta 1/5 (8)" in told
    assert "schedule.lr_warm_up " in told
