"""What jobs tell where no launcher watches: their failures, and the last one the end; a launcher is left to it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import DEAD_SECONDS
from gta.locks import Holder
from gta.processes import process_start
from launch.job import telling
from launch.notify import last
from launch.notify import told as records
from launch.notify.news import of_launcher
from launch.notify.told import Event
from launch.notify.watchers import Grid, Place, watchers
from launch.state.ledger import ledger
from tests.helpers.cells import claim, failed, finish, submitted
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.notified import SWEEP, of_site, told


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.of(tmp_path / "runs", SWEEP)


@pytest.fixture
def grid(tmp_path: Path, place: Place, fake_slurm: FakeSlurm) -> list[Cell]:
    """Two cells that were sent to Slurm by a launcher that left."""
    cells = of_site(tmp_path)
    Grid(signatures=[cell.signature for cell in cells]).write(place.grid_file)
    for index, cell in enumerate(cells):
        fake_slurm.add(f"57_{index}", state="RUNNING", node="n1")
        submitted(cell, f"57_{index}", time.time())
    return cells


def fail(cell: Cell) -> None:
    sent = cell.folder.submitted()
    assert sent is not None
    mine = claim(cell, job=sent.job)
    failed(cell, "ValueError: boom", when=time.time(), attempt=mine.number)
    mine.end("failed", why="exception", error="ValueError: boom")


def tell(cell: Cell, *more: str) -> None:
    assert last.main([str(cell.folder.path), *more]) == 0


def test_a_job_tells_its_failure_and_the_last_one_the_end(
    tmp_path: Path, grid: list[Cell], fake_slurm: FakeSlurm
) -> None:
    fail(grid[0])
    tell(grid[0])
    (fact,) = told(tmp_path)
    assert (fact["event"], fact["sweep"]) == ("failure", "toy")
    assert "seed0" in fact["cells"], "the other cell waits or runs"
    claim(grid[1], job="57_1").end("done")
    finish(grid[1])
    tell(grid[1])
    tell(grid[1])
    assert [(fact["event"], fact["title"]) for fact in told(tmp_path)][1:] == [
        ("end", "toy is over: 1 of 2 cells done, 1 failed")
    ]
    with of_launcher(grid, SWEEP) as news:  # who comes later has no news
        entries = ledger(grid)
        news.look(entries)
        news.end(entries)
        assert not news.busy
    assert len(told(tmp_path)) == 2


def test_a_cell_that_runs_is_seen_without_asking_slurm(tmp_path: Path, grid: list[Cell], fake_slurm: FakeSlurm) -> None:
    finish(grid[0])
    claim(grid[1], job="57_1")
    tell(grid[0])
    assert told(tmp_path) == []
    assert fake_slurm.calls("squeue") == [], "a job of a large sweep asks nothing"


def test_where_slurm_is_silent_nobody_is_the_last(tmp_path: Path, grid: list[Cell], fake_slurm: FakeSlurm) -> None:
    finish(grid[0])
    fake_slurm.switch(up=False)
    tell(grid[0])
    assert told(tmp_path) == []
    fake_slurm.switch(up=True)
    fake_slurm.set("57_1", state="FAILED", exit="1:0")
    tell(grid[0])
    (fact,) = [fact for fact in told(tmp_path) if fact["event"] == "end"]
    assert fact["title"] == "toy is over: 1 of 2 cells done, 1 failed"


def test_a_launcher_of_this_host_is_left_to_it(tmp_path: Path, grid: list[Cell]) -> None:
    fail(grid[0])
    assert telling.asked(grid[0].folder)
    with of_launcher(grid, SWEEP):
        assert not telling.asked(grid[0].folder), "no process is started for it"
        tell(grid[0])
    assert told(tmp_path) == []
    assert telling.asked(grid[0].folder), "it is over"


def test_a_launcher_that_was_killed_does_not_count(tmp_path: Path, grid: list[Cell], place: Place) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = replace(Holder.here(), pid=child.pid, started=process_start(child.pid))
    holder.write(place.watching / "here-1.json")
    assert watchers(place).here
    child.kill()
    child.communicate()
    assert not watchers(place)
    fail(grid[0])
    tell(grid[0])
    assert [fact["event"] for fact in told(tmp_path)] == ["failure"]


def test_a_launcher_elsewhere_has_its_time(
    tmp_path: Path, grid: list[Cell], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.watching / "login1-1.json"
    replace(Holder.here(), place="another host", host="login1").write(path)
    fail(grid[0])
    tell(grid[0])
    assert told(tmp_path) == [], "it sees the failure in the folder"
    finish(grid[1])
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:  # the launcher's host died a while ago
            old = time.time() - DEAD_SECONDS - 1
            os.utime(path, (old, old))

    monkeypatch.setattr(last, "time", Clock(sleep))
    tell(grid[1])
    assert len(looks) == 3
    assert sorted(fact["event"] for fact in told(tmp_path)) == ["end", "failure"], "what nobody told, too"


class Clock:
    """A module `time` of which a test plays the sleep."""

    def __init__(self, sleep: Callable[[float], None]):
        self.sleep = sleep
        self.monotonic = time.monotonic


def test_an_attempt_that_is_stuck_is_told_before_it_is_ended(tmp_path: Path, grid: list[Cell]) -> None:
    claim(grid[0], job="57_0")
    for _ in range(2):
        tell(grid[0], "stuck", "1", "no progress for 30 min")
    (fact,) = told(tmp_path)
    assert fact["event"] == "stuck"
    assert "ended: no progress for 30 min" in fact["title"]


@pytest.mark.parametrize("full", [True, False])
def test_the_log_says_what_was_told_and_what_could_not_be_written_down(
    grid: list[Cell], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], full: bool
) -> None:
    fail(grid[0])
    tries = []

    def settle(runs: Path, events: Sequence[Event], error: str) -> bool:
        tries.append(error)
        if full:
            raise OSError(errno.ENOSPC, "No space left")
        return False

    monkeypatch.setattr(records, "settle", settle)
    tell(grid[0])
    said = capsys.readouterr()
    assert "site.notify told of the failure." in said.err
    assert "telling of the failure cannot be written down, so it counts as told: " in said.err
    assert ("No space left" in said.err) == full
    assert len(tries) == (1 if full else records.TRIES)
    assert said.out == "", "what watches a rank has no such output"


def test_a_cell_of_an_older_version_tells_nothing(tmp_path: Path, grid: list[Cell]) -> None:
    text = grid[0].folder.config_file.read_text()
    kept = [line for line in text.splitlines() if "notify" not in line]
    grid[0].folder.config_file.write_text("\n".join(kept) + "\n")
    assert not telling.asked(grid[0].folder)


def elsewhere(place: Place) -> Path:
    """The heartbeat of a launcher on another host."""
    path = place.watching / "login1-1.json"
    replace(Holder.here(), place="another host", host="login1").write(path)
    return path


def test_what_a_launcher_elsewhere_sends_anew_meanwhile_is_not_over(
    tmp_path: Path, grid: list[Cell], place: Place, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = elsewhere(place)
    claim(grid[0], job="57_0").end("lost")
    fake_slurm.set("57_0", state="NODE_FAIL", exit="0:0")
    claim(grid[1], job="57_1").end("done")
    finish(grid[1])

    def sleep(seconds: float) -> None:
        fake_slurm.add("58_0", state="RUNNING", node="n1")
        submitted(grid[0], "58_0", time.time())
        path.unlink(missing_ok=True)

    monkeypatch.setattr(last, "time", Clock(sleep))
    tell(grid[1])
    assert told(tmp_path) == []


def test_while_a_launcher_elsewhere_watches_no_job_tells_the_end(
    tmp_path: Path, grid: list[Cell], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(place)
    finish(grid[0])
    finish(grid[1])
    monkeypatch.setattr(last, "PATIENCE_SECONDS", 0.0)
    tell(grid[1])
    assert told(tmp_path) == []


def test_no_job_of_a_sweeper_that_makes_more_cells_is_the_last(tmp_path: Path, grid: list[Cell]) -> None:
    with of_launcher(grid, SWEEP, more=True):
        finish(grid[0])
        finish(grid[1])
    tell(grid[1])
    assert told(tmp_path) == []
