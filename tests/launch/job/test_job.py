"""One attempt at a cell: it trains what was frozen, or nothing; a result is never made twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gta import journal
from gta.cell import Cell
from gta.cli.composing import grid
from gta.errors import UserError
from launch.job.attempt import run_cell
from launch.state.ledger import State, look
from tests.helpers.cells import claim, last_attempt
from tests.helpers.training import points

pytestmark = pytest.mark.slow


@pytest.fixture
def cell(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cell:
    monkeypatch.chdir(tmp_path)
    (made,) = grid(["sweep=shapes", *small, "method=supervised", "seed=0"])[1]
    made.write()
    return made


def test_a_done_cell_is_left_as_it_is(cell: Cell) -> None:
    assert run_cell(cell.folder) == "done"
    before = cell.folder.result_file.read_text()
    assert run_cell(cell.folder) == "done"
    assert cell.folder.result_file.read_text() == before
    assert look(cell).state is State.DONE


def test_lists_that_changed_since_are_refused(cell: Cell) -> None:
    labeled = Path(cell.config.data.split_dir) / "1_5" / "labeled.txt"
    labeled.write_text("\n".join(labeled.read_text().split()[:4]))
    with pytest.raises(UserError, match=r"changed after the cell .* was frozen"):
        run_cell(cell.folder)
    assert look(cell).state is State.FAILED
    assert not cell.folder.done


def test_a_cell_that_another_process_has_is_taken(cell: Cell) -> None:
    other = claim(cell)
    assert run_cell(cell.folder) == "taken"
    other.end("interrupted")
    assert run_cell(cell.folder) == "done"


def test_a_failure_of_a_superseded_attempt_is_not_recorded(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_late(*_: object, **__: object) -> bool:
        last = last_attempt(cell)
        last.write(cell.folder.attempt_file(last.number + 1))
        raise RuntimeError("late")

    monkeypatch.setattr("gta.train.run.train", fail_late)
    with pytest.raises(RuntimeError, match="late"):
        run_cell(cell.folder)
    assert cell.folder.failure() is None


def test_torchrun_trains_on_two_ranks_what_one_process_does_and_then_finds_it_done(
    small: list[str], tmp_path: Path
) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = ["-m", "gta", "train", *small, "method=gta", "schedule.group_size=4"]
    for said in ("gta 1/5 seed 0: done", "is done"):
        answer = subprocess.run([*torchrun, *words], cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert said in answer.stdout
    (two,) = tmp_path.glob("runs/cells/*/journal.jsonl")
    assert journal.read(two)[0]["world_size"] == 2

    alone = subprocess.run([sys.executable, *words, "paths.runs=alone"], cwd=tmp_path, capture_output=True, timeout=200)
    assert alone.returncode == 0
    (one,) = tmp_path.glob("alone/cells/*/journal.jsonl")
    assert one.parent.name == two.parent.name, "the number of ranks is not in the signature"
    mine, theirs = points(one.parent), points(two.parent)
    assert mine.keys() == theirs.keys()
    losses = [key for key in mine if key[0].startswith("loss/")]
    assert [mine[key] for key in losses] == pytest.approx([theirs[key] for key in losses], rel=1e-3)
