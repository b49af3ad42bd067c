"""`gta repair`: what it says, what it does, and that a trained cell's result comes back as it was."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import cell_folders
from tests.helpers.broken import done_cell, spoil
from tests.helpers.cells import attempt, of_seeds
from tests.helpers.program import Run


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    made = of_seeds(3, tmp_path / "runs")
    for cell in made:
        done_cell(cell)
    return made


def test_it_says_first_and_does_when_told(say: Run, cells: list[Cell]) -> None:
    hurt, other, _ = cells
    assert "these 3 cells is damaged" in say("repair").stdout
    spoil(hurt.folder, "failure.json", "cut")
    spoil(other.folder, "cancelled.json", "empty")
    shown = say("repair")
    assert (shown.returncode, hurt.folder.failure_file.stat().st_size > 0) == (0, True)
    for text in ("failure.json: not JSON", "cancelled.json: empty", "moved away", "stays done", "Nothing was changed"):
        assert text in shown.stdout
    damaged = hurt.folder.failure_file.read_text()
    done = say("repair", hurt.signature[:8], "--yes")
    assert (done.returncode, "cancelled.json" in done.stdout) == (0, False)
    (kept,) = (hurt.folder.path / "damaged").iterdir()
    assert kept.name.startswith("failure.json.")
    assert kept.read_text() == damaged
    assert other.folder.cancelled_file.exists()
    assert say("repair", "--yes", f"paths.runs={hurt.folder.path.parents[1]}").returncode == 0
    assert "No record of these 3 cells is damaged" in say("repair").stdout


def test_what_stays_damaged_is_exit_code_1(say: Run, cells: list[Cell]) -> None:
    hurt, living, _ = cells
    spoil(hurt.folder, "cell.json", "empty")
    spoil(hurt.folder, "config.yaml", "empty")
    living.folder.result_file.unlink()
    attempt(living, "9", None)
    spoil(living.folder, "cancelled.json", "empty")
    said = say("repair", "--yes")
    assert said.returncode == 1
    assert "name its grid" in said.stdout
    assert "left alone: attempt 2 is at it" in said.stdout
    assert living.folder.cancelled_file.exists()
    answer = say("repair", "nobody")
    assert answer.returncode == 2
    assert "there is no such cell" in answer.stderr


def test_no_cells(say: Run) -> None:
    answer = say("repair")
    assert (answer.returncode, "no cells here yet" in answer.stderr) == (2, True)


@pytest.mark.slow
def test_a_trained_cells_result_comes_back_as_it_was(say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["sweep=shapes", *small, "method=gta", "seed=0"]
    assert say("multirun", *words).returncode == 0
    (folder,) = cell_folders(tmp_path / "runs")
    before, frozen = folder.result_file.read_text(), json.loads(folder.identity_file.read_text())
    folder.result_file.write_text(before[: len(before) // 2])
    folder.identity_file.write_text("")
    folder.attempt_file(1).write_text("")
    os.utime(folder.attempt_file(1), (1e9, 1e9))
    ended = say("multirun", *words)
    assert "gta repair " in ended.stdout + ended.stderr
    assert "made again from config.yaml" in say("repair").stdout
    done = say("repair", folder.signature[:8], "--yes")
    assert (done.returncode, "of iteration 8, mIoU" in done.stdout) == (0, True), done.stdout
    after = json.loads(folder.result_file.read_text())
    assert {**after, "finished": 0} == {**json.loads(before), "finished": 0}
    assert {**json.loads(folder.identity_file.read_text()), "created": 0} == {**frozen, "created": 0}
    made = folder.attempt(1)
    assert made is not None
    assert (made.ended, made.began) == ("done", 0)
    assert say("multirun", *words).returncode == 0, "there is nothing left to do"
    assert len(folder.attempts()) == 1
