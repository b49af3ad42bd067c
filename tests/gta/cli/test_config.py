"""`gta config` says who said each value; `--cfg` prints what Hydra's programs print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.helpers.program import Run

MINE = """\
# gta multirun sweep=mine
defaults:
  - override /schedule: long
schedule: {momentum: 0.5}
hydra:
  sweeper:
    params:
      method: supervised,gta
      seed: 0,1
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path) -> None:
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "conf/schedule").mkdir(parents=True)
    (tmp_path / "sweeps/mine.yaml").write_text(MINE)
    (tmp_path / "conf/schedule/long.yaml").write_text("defaults: [shapes]\nmomentum: 0.7\niterations: 9000\nlr: 0.3\n")


def told(say: Run, *words: str) -> dict[str, tuple[str, str]]:
    """name -> (value, who said it) of a config's lines."""
    answer = say("config", *words)
    assert answer.returncode == 0, answer.stderr
    rows = [[part for part in line.split("  ") if part] for line in answer.stdout.splitlines()[1:]]
    return {row[0]: (row[1].strip(), row[-1].strip()) for row in rows}


def test_each_value_has_who_said_it(say: Run, tmp_path: Path) -> None:
    found = told(say, "sweep=mine", "method=gta", "seed=3", "schedule.lr=0.2", "site.sbatch.nice=5")
    assert found["schedule.lr"] == ("0.2", "the command line")
    assert found["seed"] == ("3", "the command line")
    assert found["site.sbatch.nice"] == ("5", "the command line")
    assert found["schedule.iterations"] == ("9000", "conf/schedule/long.yaml, line 3")
    assert found["schedule.momentum"] == ("0.5", "sweeps/mine.yaml, line 4"), "a sweep counts more than a group"
    assert found["schedule.batch_size"] == ("8", "gta/conf/schedule/shapes.yaml, line 4"), "which long begins with"
    assert found["schedule.weight_decay"] == ("0.0001", "the schema's default")
    assert found["method.drop_percent"] == ("80.0", "the default of the method gta")
    assert found["site.workers"][1].startswith("gta/conf/site/local.yaml, line")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conf", "sweeps"], "nothing is made for it"


def test_of_a_grid_all_values_where_its_cells_differ(say: Run) -> None:
    found = told(say, "sweep=mine")
    assert found["seed"] == ("0 | 1", "sweeps/mine.yaml, line 9")
    assert found["method.drop_percent"][1] == "the default of the method gta (2 of 4 cells)"
    assert told(say, "sweep=mine", "seed=4,5")["seed"] == ("4 | 5", "the command line")
    answer = json.loads(say("config", "sweep=mine", "--json", "--package", "seed").stdout)
    assert answer == {
        "cells": 4,
        "config": {"seed": [{"from": "sweeps/mine.yaml, line 9", "values": [0, 1], "cells": 4}]},
    }


def test_a_password_is_not_shown(say: Run) -> None:
    answer = say("config", "sweep=mine", "site.setup=['export WANDB_API_KEY=hunter22']")
    assert "hunter22" not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "begun",
    [
        ["config", "--cfg", "job"],
        ["-c=job"],
        ["--cfg", "job"],
        ["train", "-c=job"],
        ["train", "-c", "job"],
        ["multirun", "--cfg=job"],
    ],
)
def test_hydras_own_way_to_ask(begun: list[str], say: Run, tmp_path: Path) -> None:
    answer = say(*begun, "sweep=mine", "method=gta", "seed=3")
    assert (answer.returncode, answer.stderr) == (0, "")
    found = yaml.safe_load(answer.stdout)
    assert (found["seed"], found["method"]["name"], found["schedule"]["momentum"]) == (3, "gta", 0.5)
    assert found["data"]["root"] == "${paths.data}/${data.name}", "as it is written, without --resolve"
    assert "hydra" not in found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conf", "sweeps"], "nothing runs"


def test_parts_of_hydras_answer(say: Run) -> None:
    words = ["sweep=mine", "method=gta", "seed=3"]
    part = say("train", *words, "--cfg", "job", "--package", "data", "--resolve").stdout
    assert part.startswith("# @package data\n")
    assert yaml.safe_load(part)["root"] == "data/shapes"
    assert say("train", *words, "--cfg", "job", "-p", "schedule.lr").stdout == "0.3\n"
    both = yaml.safe_load(say("train", *words, "--cfg", "all").stdout)
    assert (both["seed"], both["hydra"]["sweeper"]["params"]["seed"]) == (3, "0,1")
    assert list(yaml.safe_load(say("train", *words, "--cfg", "hydra").stdout)) == ["hydra"]


def test_hydras_own_part_is_filled_in_from_the_jobs(say: Run) -> None:
    words = ["config", "sweep=mine", "hydra/launcher=slurm", "site=slurm", "site.time_limit=77", "--cfg", "hydra"]
    written = yaml.safe_load(say(*words).stdout)
    assert written["hydra"]["launcher"]["timeout_min"] == "${site.time_limit}"
    answer = say(*words, "--resolve")
    assert (answer.returncode, answer.stderr) == (0, "")
    filled = yaml.safe_load(answer.stdout)
    assert list(filled) == ["hydra"]
    assert list(filled["hydra"]) == list(written["hydra"])
    assert filled["hydra"]["sweep"]["dir"] == "runs/sweeps/mine"
    assert filled["hydra"]["launcher"]["timeout_min"] == 77
    part = say(*words, "-p", "hydra.launcher", "--resolve").stdout
    assert part.startswith("# @package hydra.launcher\n")
    assert yaml.safe_load(part)["timeout_min"] == 77
    assert yaml.safe_load(say(*words, "-p", "hydra.launcher").stdout)["timeout_min"] == "${site.time_limit}"
    assert say(*words, "-p", "hydra.launcher.timeout_min").stdout == "77\n"
    both = yaml.safe_load(say(*words[:-1], "all", "--resolve").stdout)
    assert (both["site"]["time_limit"], both["hydra"]["launcher"]["timeout_min"]) == (77, 77)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["config", "--cfg", "job", "--json"], "--cfg prints YAML, as Hydra does: leave out --json, or --cfg."),
        (["train", "data=nothing", "--resolve"], "add --cfg job, or leave them out"),
        (["multirun", "data=nothing", "-p", "schedule"], "add --cfg job, or leave them out"),
    ],
)
def test_no_option_is_passed_over(words: list[str], said: str, say: Run) -> None:
    answer = say(*words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr


def test_of_a_grid_it_says_what_is_not_in_it(say: Run) -> None:
    answer = say("multirun", "sweep=mine", "--cfg", "job")
    assert answer.stderr == "Of a grid of 4 cells, without what differs between them: method, seed.\n"
    assert yaml.safe_load(answer.stdout)["schedule"]["momentum"] == 0.5


@pytest.mark.parametrize(
    "words",
    [
        ["config", "-p", "shedule"],
        ["train", "--cfg", "job", "-p", "shedule"],
        ["train", "--cfg", "hydra", "-p", "schedule"],
        ["train", "--cfg", "job", "-p", "hydra"],
    ],
)
def test_a_part_that_is_none(words: list[str], say: Run) -> None:
    answer = say(*words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert f"--package {words[-1]}: there is no such part of the config" in answer.stderr
