"""The board while a grid runs: on a terminal, in a log, with a Slurm that falls silent."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from gta import bars, progress
from gta.cell import Cell
from launch.show import board
from launch.show.rows import row, rows
from launch.slurm.reconcile import reconcile
from tests.helpers.cells import cancelled, failed
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.states import NAMES, attempt, play, ten_cells


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    return ten_cells(tmp_path)


def test_where_no_terminal_looks_on_changes_are_lines(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    play(cells, fake_slurm)
    console = Console(width=200, highlight=False, force_terminal=False)
    with console.capture() as capture, board.Board(console) as live:
        live.show(reconcile(cells))
        fake_slurm.set("57_0", state="CANCELLED")
        live.show(reconcile(cells))
    first, change, second = capture.get().splitlines()
    assert "iteration 250/1000, loss 0.750, left 6 min" in first
    assert "1 never run, 2 it/s, about " in first
    assert change.strip() == "gta 1/8 seed 0: cancelled in Slurm"
    assert second.startswith("10 cells: 1 done")


def test_a_change_reads_the_cells_that_run_alone_where_no_terminal_looks_on(
    cells: list[Cell], fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(cells, fake_slurm)
    read: list[int] = []
    monkeypatch.setattr(board, "row", lambda entry: read.append(entry.cell.config.seed) or row(entry))
    console = Console(width=200, highlight=False, force_terminal=False)
    with console.capture() as capture, board.Board(console) as live:
        live.show(reconcile(cells))
        assert sorted(read) == list(range(10)), "the pace of the grid takes all of them"
        read.clear()
        fake_slurm.set("57_0", state="CANCELLED")
        live.show(reconcile(cells))
        assert read == [1]
        monkeypatch.setattr(board, "LINES_EVERY", 0.0)
        live.show(reconcile(cells))
    first, _, at_change, later = capture.get().splitlines()
    assert ["it/s" in line for line in (first, at_change, later)] == [True, False, True]
    assert all("iteration 250/1000" in line for line in (first, at_change, later))


def test_the_last_picture_stays_on_a_terminal(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    play(cells, fake_slurm)
    console = Console(
        width=80, height=24, highlight=False, force_terminal=True, color_system=None, _environ={"TERM": "xterm"}
    )
    with console.capture() as capture, suppress(KeyboardInterrupt), board.Board(console) as live:
        live.show(reconcile(cells))
        live.say("Slurm does not answer; waiting")
        raise KeyboardInterrupt
    before, _, after = capture.get().rpartition("10 cells: 1 done")
    assert before
    assert "Slurm does not answer; waiting" in after
    assert "mIoU 71.25" in after
    assert "\x1b[2K" not in after, "nothing of it is wiped"


def test_long_work_of_the_launcher_is_on_the_board_and_paths_are_whole(
    cells: list[Cell], fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(cells, fake_slurm)
    monkeypatch.setattr(bars, "AFTER_SECONDS", 0.0)
    path = "/home/ada/experiments/2026/segmentation/runs/cells/7a23b7e3f353433a/journal.jsonl of the cell is broken"
    console = Console(
        width=80, height=24, highlight=False, force_terminal=True, color_system=None, _environ={"TERM": "xterm"},
        soft_wrap=True,
    )  # fmt: skip
    with console.capture() as capture, board.Board(console) as live:
        live.show(reconcile(cells))
        with progress.work("writing cells to MLflow", 36) as work:
            work.advance(12)
            live.show(reconcile(cells))
        print(path)
        live.show(reconcile(cells))
    said = capture.get()
    assert "writing cells to MLflow: 12 of 36 ..." in said
    assert path in said
    assert "MLflow" not in said.rpartition("10 cells: ")[2], "it is over"


def test_an_error_does_not_steer_the_terminal(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    error = "boom \x1b[2J\x1b]0;title\x07"
    for cell in cells:
        attempt(cell, "failed")
        failed(cell, error, when=time.time())
    spelled = r"boom \x1b[2J\x1b]0;title\x07"
    assert all(spelled in row.what for row in rows(reconcile(cells)))
    for terminal in (False, True):
        console = Console(width=200, height=24, highlight=False, force_terminal=terminal)
        with console.capture() as capture, board.Board(console) as live:
            live.show(reconcile(cells))
            cancelled(cells[0])
            live.show(reconcile(cells))
            live.say(error)
            print(error, "\x9b2J")
        shown = capture.get()
        assert spelled in shown
        assert "\x9b" not in shown
        assert not terminal or r"\x9b2J" in shown
        assert not {"\x1b[2J", "\x1b]", "\x07"} & {found[0] for found in re.finditer(r"\x1b\[2J|\x1b\]|\x07", shown)}


def test_a_slurm_that_is_silent_is_said_once_and_since_when(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    play(cells, fake_slurm)
    console = Console(width=200, highlight=False, force_terminal=False)
    with console.capture() as capture, board.Board(console) as live:
        live.show(reconcile(cells))
        fake_slurm.switch(broken={"squeue": "slurm_load_jobs error: Unable to contact slurm controller"})
        live.show(reconcile(cells))
        live.show(reconcile(cells))
        fake_slurm.switch(broken={})
        live.show(reconcile(cells))
    said = capture.get()
    assert len(re.findall(r"since \d\d:\d\d: .*waiting", said)) == 1
    assert "Slurm answers again" in said.rpartition("waiting")[2]
    fake_slurm.switch(broken={"squeue": "slurm_load_jobs error: Unable to contact slurm controller"})
    told = dict(zip(NAMES, rows(reconcile(cells)), strict=True))
    assert (told["waiting"].state, told["stopped"].state) == ("queued", "unknown"), "nobody knows better"
    assert "does not answer" in told["waiting"].what or "Unable to contact" in told["waiting"].what
