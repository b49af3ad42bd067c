"""Without a grid: which sweeps there are, how far each is, and what comes next; a broken one takes none down."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cli import composing
from tests.helpers.cells import failed, finish
from tests.helpers.program import SMALL_SCHEDULE, Run

MINE = """\
# gta multirun sweep=mine
# Two seeds of one method. No more than that.
paths: {{data: {data}}}
data: {{split: 1/5, generator: {{train: 40, val: 6}}}}
{schedule}
hydra: {{sweeper: {{params: {{method: supervised, seed: "0,1"}}}}}}
"""


@pytest.fixture
def mine(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells of a sweep of the user's own, beside one that is broken."""
    schedule = "\n  ".join(word.partition(".")[2].replace("=", ": ") for word in SMALL_SCHEDULE)
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps/mine.yaml").write_text(MINE.format(data=generated, schedule=f"schedule:\n  {schedule}"))
    (tmp_path / "sweeps/tab.yaml").write_text("hydra:\n\tsweeper: 1\n")
    monkeypatch.chdir(tmp_path)
    return composing.grid(["sweep=mine"])[1]


def line(text: str, name: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(f"{name} "))


def test_status_without_a_sweep_lists_them(mine: list[Cell], say: Run) -> None:
    for cell in mine:
        cell.write()
    finish(mine[0])
    failed(mine[1], attempt=0)
    answer = say("status")
    assert answer.returncode == 0, answer.stderr
    assert re.split("  +", line(answer.stdout, "mine")) == ["mine", "1 of 2 done, 1 failed", "Two seeds of one method"]
    assert "0 of 84 done" in line(answer.stdout, "voc_blender")
    assert "cannot be used: sweeps/tab.yaml, line 2 is not YAML" in line(answer.stdout, "tab")
    assert "gta status sweep=NAME" in answer.stdout
    assert answer.stdout.splitlines()[1].startswith("mine "), "what was begun comes first"


@pytest.mark.parametrize("command", ["plan --calibrate", "table", ""])
def test_so_do_its_neighbours_and_nothing_is_made_for_it(command: str, say: Run, tmp_path: Path) -> None:
    answer = say(*command.split())
    assert answer.returncode == 0
    assert "0 of 12 done" in line(answer.stdout, "shapes")
    name, _, option = command.partition(" ")
    assert (f"gta {name} sweep=NAME {option}".rstrip() if name else "gta multirun sweep=shapes") in answer.stdout
    assert list(tmp_path.iterdir()) == []


def test_for_scripts(mine: list[Cell], say: Run) -> None:
    told = {one["sweep"]: one for one in json.loads(say("status", "--json").stdout)["sweeps"]}
    assert (told["mine"]["cells"], told["mine"]["done"], told["mine"]["states"]) == (2, 0, {})
    assert "line 2 is not YAML" in told["tab"]["trouble"]
    assert told["tab"]["cells"] is None


def test_what_is_of_one_grid_asks_which(say: Run) -> None:
    for words in (["status", "--watch"], ["status", "--state", "failed"], ["table", "--strict"]):
        answer = say(*words)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert "sweep=NAME" in answer.stderr


def test_the_program_alone_says_what_comes_next(mine: list[Cell], say: Run) -> None:
    for cell in mine:
        cell.write()
    finish(mine[0])
    begun = say().stdout
    assert "gta multirun sweep=mine" in begun
    assert "gta table" not in begun
    finish(mine[1])
    whole = say().stdout
    assert "2 of 2 done" in line(whole, "mine")
    assert "gta table sweep=mine" in whole
    assert "gta multirun sweep=mine" not in whole


@pytest.mark.parametrize("words", ["status", "status sweep=shapes", "show gta/1/50"])
def test_a_folder_of_runs_that_is_a_file_is_one_sentence(words: str, say: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    answer = say(*words.split(), "paths.runs=taken")
    assert answer.returncode == 2
    assert "taken is a file, and a folder is needed there" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
