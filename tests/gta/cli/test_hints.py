"""What is advised can be pasted into a shell: the grid that was typed, and what brings each kind of cell further."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from gta.cell import Cell
from gta.cellfolder import Death
from gta.cli import multirun
from gta.cli.main import main
from gta.sweep import Sweep
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry, State
from launch.submit.launcher import LaunchReport
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.program import Run

GRID = ["sweep=shapes", "seed=0,1", "data.split='1/5'", "paths.tracking_uri=postgresql://ada:secret@db/x"]


def lines(cells: list[Cell], *states: State) -> list[list[str]]:
    """Of each hint the words of its command."""
    found = multirun.hints([Entry(cell, state) for cell, state in zip(cells, states, strict=False)], GRID)
    return [shlex.split(line.partition(": gta ")[2]) for line in found if line]


def test_each_state_has_its_own_command(cells: list[Cell]) -> None:
    failed, cancelled, held = lines(cells, State.FAILED, State.CANCELLED, State.QUEUED)
    shown = [*GRID[:3], "paths.tracking_uri=postgresql://***@db/x"]
    assert failed == ["retry", *shown]
    assert cancelled == ["retry", *shown, "--state", "cancelled"], "it does not go on by itself"
    assert held == ["multirun", *shown]
    assert lines(cells, State.NEVER_RUN) == [["multirun", *shown]]
    assert multirun.hints([], GRID) == []


def test_a_job_that_is_held_is_said_to_be_so(cells: list[Cell]) -> None:
    waits = Entry(cells[0], State.QUEUED, "job 57 (JobHeldUser)", held=HeldJob("57", "PENDING", "JobHeldUser"))
    assert multirun.why(waits) == f"held by its user (JobHeldUser); `gta release {cells[0].signature[:8]}` lets it go"
    failed = Entry(cells[1], State.FAILED, "boom", cause=Death.EXCEPTION)
    assert multirun.why(failed) == "exception: boom"
    assert multirun.why(replace(failed, state=State.DAMAGED, cause=None)) == "boom"


@pytest.mark.slow
def test_a_launcher_that_leaves_says_how_to_look_and_go_on(
    say: Run, small: list[str], fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep=shapes", "method=supervised", "seed=0,1", *small, "hydra/launcher=slurm"]
    said = say("multirun", *words, "--no-wait", "--retry", "cancelled").stdout.splitlines()
    status, again = (shlex.split(line) for line in said if line.startswith("  gta "))
    assert status == ["gta", "status", *words]
    assert again == ["gta", "multirun", *words, "--retry", "cancelled"], "and it watches"
    assert main(status[1:]) == 0
    assert "2 cells: 2 queued" in capsys.readouterr().out


def test_interrupted_on_this_machine_the_same_line_goes_on(
    cells: list[Cell], capsys: pytest.CaptureFixture[str]
) -> None:
    report = LaunchReport([Entry(cells[0], State.RESUMABLE)], Sweep("shapes"), interrupted=True)
    assert multirun.finish(report, GRID) == 130
    assert shlex.split(capsys.readouterr().err.splitlines()[1])[:4] == ["gta", "multirun", *GRID[:2]]
