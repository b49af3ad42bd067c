"""--state and --method pick cells, the same ones for every command that takes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cli import options
from gta.errors import UserError
from launch.grid.names import of_grid
from launch.show.filters import Filter
from launch.show.words import URGENT
from launch.state.ledger import Entry, State
from launch.submit.selection import Selection
from tests.helpers.cells import attempt, change_attempt, failed
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.program import Run


@pytest.fixture
def entries(cells: list[Cell]) -> list[Entry]:
    """A cell that failed, one that was stopped, and one of another method that never ran."""
    other = Cell.of(changed(cells[2].config, {"method.label": "gta lean"}), cells[2].split)
    attempt(cells[1], "101", "interrupted")
    states = (State.FAILED, State.RESUMABLE, State.NEVER_RUN)
    return [Entry(cell, state) for cell, state in zip([*cells[:2], other], states, strict=True)]


def test_states_are_the_boards_words(entries: list[Entry]) -> None:
    failed, stopped, never = entries
    assert Filter().of(entries) == entries
    assert Filter(("failed",)).of(entries) == [failed]
    assert Filter(("stopped", "never run")).of(entries) == [stopped, never]
    assert Filter(("done",)).of(entries) == []
    assert set(options.STATES) == set(URGENT)


def test_methods_are_names_labels_or_patterns(entries: list[Entry]) -> None:
    *plain, labeled = entries
    assert Filter(methods=("gta lean",)).of(entries) == [labeled]
    assert Filter(methods=("gta",)).of(entries) == entries, "the method of all of them"
    assert Filter(methods=("gta*",)).of(entries) == entries
    assert Filter(("failed",), ("gta",)).of(entries) == plain[:1]
    with pytest.raises(UserError, match="no cell has it; did you mean gta lean"):
        Filter(methods=("gta laen",)).of(entries)
    named = of_grid([entry.cell for entry in entries])
    assert [cell.label for cell in Filter(methods=("*lean",)).of_names(named)] == ["gta lean"]


def test_a_launch_is_about_the_cells_that_are_picked(entries: list[Entry], cells: list[Cell]) -> None:
    failed, stopped, never = entries
    assert Selection(states=("stopped",)).of(entries) == [stopped]
    assert Selection("failed", states=("failed", "stopped")).of(entries) == [failed, stopped]
    assert Selection(methods=("gta lean",)).of(entries) == [never]
    cancelled = Entry(cells[2], State.CANCELLED)
    assert Selection(again=True).of([failed, cancelled]) == [failed]
    assert Selection(again=True, states=("cancelled",)).of([failed, cancelled]) == [cancelled], "it was asked for"


@pytest.mark.slow
def test_the_commands_take_them(say: Run, small: list[str], tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    grid = ["sweep=shapes", "method=supervised,gta", "seed=0,1", *small]
    assert say("multirun", *grid, "hydra/launcher=slurm", "--no-wait", "--method", "gta").returncode == 0
    assert len(fake_slurm.jobs()) == 2, "the others were not asked for"
    told = json.loads(say("status", *grid, "--state", "never-run", "--json").stdout)
    assert told["counts"] == {"never run": 2}
    assert {cell["method"] for cell in told["cells"]} == {"supervised"}
    shown = say("status", *grid, "--state=queued,failed").stdout
    assert "2 cells: 2 queued" in shown
    planned = say("plan", *grid, "--state", "never-run", "--method", "super*").stdout
    assert "2 cells: 2 never run; multirun would run 2" in planned
    assert not any(line.split()[:1] == ["gta"] for line in planned.splitlines()), "no line of another cell"
    assert say("cancel", *grid, "--state", "queued", "--yes").stdout.count("cancelled") == 2
    assert json.loads(say("status", *grid, "--json").stdout)["counts"] == {"cancelled": 2, "never run": 2}
    again = say("retry", *grid, "--state", "cancelled", "hydra/launcher=slurm", "--no-wait")
    assert again.stdout.count("again: ") == 2
    for words, answer in {
        ("status", *grid, "--state", "qeued"): "did you mean queued?",
        ("status", *grid, "--method", "gat"): "did you mean gta?",
        ("cancel", "--state", "queued"): "say which, sweep=NAME",
        ("cancel", *grid, "--state", "damaged", "--yes"): "No cell of this grid is damaged",
    }.items():
        said = say(*words)
        assert said.returncode == 2
        assert answer in said.stderr


def test_logs_of_several_cells_are_their_ends(say: Run, cells: list[Cell]) -> None:
    for cell, lines in zip(cells[:2], (3, 30), strict=True):
        log = attempt(cell, f"10{cell.config.seed}", "failed")
        log.write_text("".join(f"line {i}\n" for i in range(lines)))
        failed(cell, log=str(log))
    said = say("logs", "--method", "gta").stdout
    first, second, third = said.split("==> ")[1:]
    assert first.startswith("gta/1/8/seed0")
    assert "line 0\nline 1\nline 2\n" in first
    assert "line 29" in second
    assert "line 19" not in second
    assert "it was never submitted" in third
    assert say("logs", "gta/1/8/seed1", "-n", "2").stdout == "line 28\nline 29\n"
    refused = say("logs", "--method", "gta", "-f")
    assert refused.returncode == 2
    assert "3 cells are meant" in refused.stderr
    change_attempt(cells[0], ended="interrupted")
    assert say("logs", "gta/1/8/seed0", "--method", "gta").stdout == "line 0\nline 1\nline 2\n"
