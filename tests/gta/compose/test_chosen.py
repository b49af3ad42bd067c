"""A data set that was asked for without a model and a schedule for it is said to be; a sweep that names them is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.compose import compose
from gta.compose.chosen import unfitting
from gta.compose.hydra import Hydra, group_options, loader_of
from launch.grid.grid import master_config
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES, Run

DATA = """\
name: mydata
classes: [a, b]
split: 1/8
crop_size: 32
"""
FILES = {
    "conf/data/mydata.yaml": DATA,
    "conf/schedule/whole.yaml": "# @package _global_\ndefaults: [override /model: resnet18]\nschedule: {lr: 0.5}\n",
    "conf/schedule/mine.yaml": "iterations: 5\nbatch_size: 2\ngroup_size: 2\nlr: 0.1\neval_every: 5\n"
    "checkpoint_every: 5\nlog_every: 1\n",
    "sweeps/half.yaml": "defaults: [override /data: mydata, override /model: resnet34]\n",
    "sweeps/values.yaml": "defaults: [override /data: mydata]\nmodel: {encoder: tiny}\nschedule: {iterations: 7}\n",
    "sweeps/params.yaml": "hydra: {sweeper: {params: {data: 'shapes,mydata', model: tiny, schedule.epochs: 3}}}\n",
}
FITTING = (
    "method=gta",
    "sweep=voc_blender",
    "data=voc_classic sweep=voc_blender",
    "data=cityscapes_trainids sweep=cityscapes",
    "data=mydata model=tiny schedule=mine",
    "data=mydata model.encoder=resnet18 schedule.epochs=3",
    "data=mydata schedule=dry",
    "data=mydata schedule=whole",
    "sweep=values",
    "sweep=params",
    "sweep=ablation_gta data=voc_classic model=resnet101 schedule=voc",
)


@pytest.fixture(scope="module")
def hydra(tmp_path_factory: pytest.TempPathFactory) -> Hydra:
    from launch.grid import plugins

    folder = tmp_path_factory.mktemp("chosen")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plugins.install()
        return compose.start()


def told(hydra: Hydra, words: str) -> str:
    return " ".join(unfitting(loader_of(hydra), master_config(hydra, words.split())))


@pytest.mark.parametrize("words", FITTING)
def test_what_was_chosen_for_the_data_set_is_not_spoken_of(hydra: Hydra, words: str) -> None:
    assert told(hydra, words) == ""


def test_what_goes_with_it_by_default_is_said_with_what_there_is(hydra: Hydra) -> None:
    said = told(hydra, "data=mydata")
    assert "data=mydata is asked for without a model or schedule for it" in said
    assert "goes with model=tiny schedule=shapes" in said
    assert "There are of model, dinov2_base, " in said
    every = ", ".join(group_options(loader_of(hydra), "schedule"))
    assert said.endswith(f"; of schedule, {every}. Choose with model=NAME schedule=NAME.")
    assert "without a model for it" in told(hydra, "data=mydata schedule=mine")
    assert "goes with schedule=shapes." in told(hydra, "sweep=half")
    assert "goes with model=tiny schedule=shapes" in told(hydra, "sweep=shapes data=mydata")
    assert told(hydra, "data=mydata,shapes") == said


def test_a_sweep_about_this_data_set_is_named(hydra: Hydra) -> None:
    assert told(hydra, "data=camvid").endswith("the sweep camvid trains it with model=tiny schedule=camvid.")
    assert "with model=resnet101 schedule=cityscapes" in told(hydra, "data=cityscapes_trainids")


def test_a_plan_says_the_recipe_and_what_nobody_chose(tmp_path: Path, generated: Path, say: Run) -> None:
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/mine.yaml").write_text("defaults: [shapes]\nroot: ${paths.data}/shapes\nname: mine\n")
    words = ["method=supervised", "data.split=1/5", f"paths.data={generated}", *SMALL_SHAPES, *SMALL_SCHEDULE[1:]]
    answer = say("plan", "data=mine", *words)
    assert answer.returncode == 0, answer.stderr
    recipe = "Training: tiny (width 8), random weights; 800 iterations; 8 + 8 images a step; crop 48; SGD, lr 0.1."
    assert f"{recipe} Data: mine." in answer.stdout
    assert "data=mine is asked for without a model or schedule" in answer.stderr
    answer = say("plan", "sweep=shapes", "schedule.lr=0.1,0.2", *words)
    assert "SGD, lr 0.1 or SGD, lr 0.2. Data: shapes." in answer.stdout
    assert answer.stderr == ""
