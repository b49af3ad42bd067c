"""The board: what each state says, what it cost, at every width, for people and for scripts."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gta.cell import Cell
from gta.cellfolder import Death
from gta.journal import Journal
from launch.show import board
from launch.show.rows import BoardRow, row, rows
from launch.slurm.reconcile import reconcile
from tests.helpers.cells import cancelled, change_attempt, claim, config, failed, finish, split, submitted
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    """Ten cells of 1,000 iterations, submitted to Slurm as tasks of job 57."""
    made = []
    for seed in range(10):
        mine = changed(config(), {"seed": seed, "paths.runs": str(tmp_path / "runs"), "schedule.iterations": 1000})
        cell = Cell.of(mine, split())
        submitted(cell, f"57_{seed}", time.time() - 7200)
        made.append(cell)
    return made


def attempt(cell: Cell, ended: str | None = None, hours: float = 1.0, device: str = "cuda:0", **fields: Any) -> None:
    """An attempt on node n1 that began `hours` ago: over, or with a fresh heartbeat."""
    claim(cell, after=99, job=f"57_{cell.config.seed}", log="/log")
    ends = {"ended": ended, "end_time": time.time()} if ended else {}
    change_attempt(cell, time=time.time() - 3600 * hours, place="another host", host="n1", **fields, **ends)
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started", iteration=0, device=device, world_size=1)


def play(cells: list[Cell], slurm: FakeSlurm) -> dict[str, BoardRow]:
    """One cell in each state; what the board says of them."""
    slurm.add(*(f"57_{i}" for i in range(10)))
    _, running, again, done, crashed, memory, ended, lost, stopped, never = cells
    attempt(running)
    with Journal(running.folder.journal_file) as journal:
        journal.metrics(250, {"loss/supervised": 0.5, "loss/unsupervised": 0.25, "seconds": 125.0})
    slurm.set("57_1", state="RUNNING", node="n1", reason="None")
    attempt(again, "interrupted", hours=0.5)
    slurm.set("57_2", reason="BeginTime")
    attempt(done, "done", hours=2.0)
    finish(done, miou=71.25125)
    slurm.set("57_3", state="COMPLETED")
    for cell, cause, error in ((crashed, Death.EXCEPTION, "ValueError: boom"), (memory, Death.MEMORY, "CUDA error")):
        attempt(cell, "failed")
        failed(cell, error, time.time(), cause=cause, rank=0, log="/log")
        slurm.set(f"57_{cell.config.seed}", state="FAILED", exit="1:0")
    slurm.set("57_6", state="CANCELLED")
    cancelled(ended, by="ada", job="57_6")
    attempt(lost, saved=100)
    with Journal(lost.folder.journal_file) as journal:
        journal.metrics(120, {"loss/supervised": 0.5, "seconds": 60.0})
    slurm.set("57_7", state="NODE_FAIL", node="n1")
    attempt(stopped, "interrupted")
    slurm.set("57_8", state="COMPLETED")
    never.folder.submitted_file.unlink()
    return dict(zip(NAMES, rows(reconcile(cells)), strict=True))


NAMES = ("waiting", "running", "again", "done", "failed", "memory", "cancelled", "lost", "stopped", "never")


def test_every_state_is_told(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = play(cells, fake_slurm)
    assert {name: line.state for name, line in told.items()} == {
        "waiting": "queued", "running": "running", "again": "requeued", "done": "done", "failed": "failed",
        "memory": "failed", "cancelled": "cancelled", "lost": "lost", "stopped": "stopped", "never": "never run",
    }  # fmt: skip
    assert "(Priority)" in told["waiting"].what
    assert "(BeginTime)" in told["again"].what
    assert told["done"].miou == 71.25125, "all its digits"
    assert told["failed"].what == "exception: ValueError: boom"
    assert told["memory"].cause == "out of memory"
    assert told["cancelled"].what == "by ada"
    assert told["lost"].what == "stopped near iteration 120 (node failure)"
    assert (told["running"].node, told["running"].job) == ("n1", "57_1")
    assert [len(fake_slurm.calls(name)) for name in ("squeue", "sacct")] == [1, 1], "one question to each"


def test_speed_time_left_and_cost(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = play(cells, fake_slurm)
    running = told["running"]
    assert (running.iteration, running.iterations, running.loss, running.rate) == (250, 1000, 0.75, 2.0)
    assert running.left == pytest.approx(375, abs=30)
    assert told["lost"].rate is None, "what does not run has no speed"
    assert told["done"].gpu_hours == pytest.approx(2.0, abs=0.02)
    assert told["again"].gpu_hours == pytest.approx(0.5, abs=0.02)
    assert told["waiting"].gpu_hours == 0
    attempt(cells[2], None, hours=0.25)  # its second attempt, that lives
    assert row(reconcile(cells)[2]).gpu_hours == pytest.approx(0.75, abs=0.02), "the sum over its attempts"


def test_a_dead_attempt_costs_until_its_last_heartbeat_and_cores_are_counted_apart(cells: list[Cell]) -> None:
    attempt(cells[0], device="cpu", hours=3.0, gpus=0.0, cores=8.0)
    path = cells[0].folder.attempt_file(1)
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    told = row(reconcile(cells[:1])[0])
    assert told.gpu_hours == 0
    assert told.core_hours == pytest.approx(8.0, abs=0.1), "one hour of 8 cores"


def test_hours_are_of_what_an_attempt_held_whatever_is_typed_now(cells: list[Cell]) -> None:
    attempt(cells[0], "interrupted", device="cpu", hours=1.0, gpus=0.0, cores=2.0)
    attempt(cells[0], "done", hours=1.0, gpus=4.0, cores=0.0)
    finish(cells[0])
    for words in ({}, {"site.ranks": 8, "site.nodes": 2, "site.cells_per_gpu": 2, "site.cpus_per_rank": 16}):
        told = row(reconcile([replace(cells[0], config=changed(cells[0].config, words))])[0])
        assert told.gpu_hours == pytest.approx(4.0, abs=0.02)
        assert told.core_hours == pytest.approx(2.0, abs=0.02)


def test_hours_of_an_old_record_are_by_the_journal(cells: list[Cell]) -> None:
    for cell, device, hours in ((cells[0], "cuda:0", (2.0, 0.0)), (cells[1], "cpu", (0.0, 2.0))):
        claim(cell, after=99, job="57")
        change_attempt(cell, time=time.time() - 3600, end_time=time.time(), ended="done")
        with Journal(cell.folder.journal_file) as journal:
            journal.event("started", iteration=0, device=device, world_size=2)
        told = row(reconcile([replace(cell, config=changed(cell.config, {"site.ranks": 8}))])[0])
        assert (told.gpu_hours, told.core_hours) == pytest.approx(hours, abs=0.02)


def test_without_sacct_and_without_slurm(
    cells: list[Cell], fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(cells, fake_slurm)
    fake_slurm.switch(accounting=False)
    told = dict(zip(NAMES, rows(reconcile(cells)), strict=True))
    assert told["lost"].what == "stopped near iteration 120 (node failure)", "the controller remembers it for a while"
    monkeypatch.setenv("PATH", str(tmp_path))
    told = dict(zip(NAMES, rows(reconcile(cells)), strict=True))
    assert (told["running"].state, told["done"].state, told["failed"].state) == ("running", "done", "failed")
    assert told["lost"].state == "running", "its heartbeat is fresh: nobody can know better"
    path = cells[7].folder.attempt_file(1)
    os.utime(path, (0, 0))
    assert row(reconcile(cells)[7]).state == "lost"


def shown(table: list[BoardRow], width: int) -> list[str]:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(board.table(table, width))
    return capture.get().splitlines()


def test_the_board_is_readable_at_every_width(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = list(play(cells, fake_slurm).values())
    for width in (80, 120, 200):
        lines = shown(told, width)
        assert max(map(len, lines)) <= width
        assert not any("…" in line for line in lines), "no text of a column is cut"
        text = "\n".join(lines)
        for words in ("71.25", "requeued", "250/1000", "boom"):
            assert words in text
    header = [set(shown(told, width)[0].split()) for width in (80, 120, 200)]
    assert {"it/s", "node", "GPU-h", "loss", "left", "tries"} <= header[2]
    assert header[0] < header[1] <= header[2]


def test_totals_and_advice(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = list(play(cells, fake_slurm).values())
    assert board.totals(told).startswith("10 cells: 1 done, 1 never run, 1 queued, 1 cancelled, 1 stopped")
    assert "GPU-hours used" in board.totals(told)
    assert [line.partition(":")[0] for line in board.advice(told)] == ["1 cancelled", "1 exception", "1 out of memory"]


def test_a_board_that_is_taller_than_the_window_shows_what_needs_a_look(
    cells: list[Cell], fake_slurm: FakeSlurm
) -> None:
    told = list(play(cells, fake_slurm).values())
    first, more = board.fitting(told, 5)
    assert [line.state for line in first] == ["running", "failed", "failed", "lost"]
    assert more == "... and 1 requeued, 1 stopped, 1 cancelled, 1 queued, 1 never run, 1 done"
    assert board.fitting(told, 10) == (told, "")


def test_a_row_is_plain_json(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = play(cells, fake_slurm)["running"]
    again = json.loads(json.dumps(told.as_dict()))
    assert again["state"] == "running"
    assert again["miou"] is None


def test_where_no_terminal_looks_on_changes_are_lines(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    play(cells, fake_slurm)
    console = Console(width=200, highlight=False, force_terminal=False)
    with console.capture() as capture, board.Board(console) as live:
        live.show(reconcile(cells))
        fake_slurm.set("57_0", state="CANCELLED")
        live.show(reconcile(cells))
    first, change, second = capture.get().splitlines()
    assert "iteration 250/1000, loss 0.750, left 6 min" in first
    assert change.strip() == "gta 1/8 seed 0: cancelled in Slurm"
    assert second.startswith("10 cells: 1 done")
