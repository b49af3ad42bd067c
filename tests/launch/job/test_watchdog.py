"""A rank that makes no progress: it is named, its stack is in its log, and the attempt is the machine's fault."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from gta import progress
from gta.cell import Cell
from gta.cellfolder import CellFolder, Silence, process_start
from launch.job import watching
from launch.job.watchdog import watchdog
from launch.job.watching import OVER, TICK, Watched, Watching
from launch.show.rows import row
from launch.state.ledger import State, look
from tests.helpers.cells import attempt, claim, last_attempt

SECONDS = 1800.0


class Clock:
    """Time that passes only where the watching process sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watching.time, "monotonic", made.monotonic)
    return made


class Rank:
    """A rank of this process's, as its watchdog sees it; time goes on by `wait`."""

    def __init__(self, folder: CellFolder, clock: Clock, rank: int = 0, world: int = 1):
        self.clock = clock
        self.watching, self.pipe = beside(folder, os.getpid(), process_start(os.getpid()), SECONDS, rank, world)
        os.write(self.pipe, b"a1;")

    def wait(self, seconds: float) -> bool:
        """Whether it is judged stuck after so much more time, looked at every ten seconds."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now += 10
            if self.watching.look():
                return True
        return False

    def tick(self) -> None:
        os.write(self.pipe, TICK)
        self.watching.look()


def test_who_makes_progress_is_left_alone_however_long_it_takes(cells: list[Cell], clock: Clock) -> None:
    claim(cells[0])
    rank = Rank(cells[0].folder, clock)
    for _ in range(20):
        assert not rank.wait(SECONDS - 60)
        rank.tick()
    assert cells[0].folder.silences(1) == [], "no more"


def test_a_silence_is_said_long_before_the_end_and_goes_with_it(cells: list[Cell], clock: Clock) -> None:
    attempt(cells[0], "57", ended=None)
    rank = Rank(cells[0].folder, clock)
    assert look(cells[0]).silent is None
    assert not rank.wait(300)
    entry = look(cells[0])
    assert entry.state is State.RUNNING
    assert "; silent since " in entry.detail
    assert row(entry).state == "stuck"
    rank.tick()
    assert row(look(cells[0])).state == "running"
    assert rank.wait(SECONDS + 20), "and after so long it is over"


def test_a_rank_that_waits_for_another_one_is_not_stuck_while_that_goes_on(cells: list[Cell], clock: Clock) -> None:
    claim(cells[0])
    waiting, working = Rank(cells[0].folder, clock, 1, 2), Rank(cells[0].folder, clock, 0, 2)
    for _ in range(int(SECONDS) // 10 + 10):
        assert not waiting.wait(10), "rank 0 evaluates, say"
        working.tick()
    for _ in range(20):
        stuck = waiting.wait(10)
        working.watching.look()
    assert stuck, "now both are silent"


def test_of_ranks_that_nobody_hears_of_it_is_waited_longer(cells: list[Cell], clock: Clock) -> None:
    claim(cells[0])
    rank = Rank(cells[0].folder, clock, 1, 2)
    assert not rank.wait(2 * SECONDS)
    assert rank.wait(2 * SECONDS)


def test_a_rank_ends_with_the_first_that_is_ended(cells: list[Cell], clock: Clock) -> None:
    claim(cells[0])
    rank = Rank(cells[0].folder, clock, 1, 2)
    assert not rank.wait(200)
    Silence(since=0, rank=0, host="node1", pid=1, over=True).write(cells[0].folder.silence_file(1, 0))
    assert rank.wait(10)


def test_a_rank_that_is_left_over_is_ended(cells: list[Cell], clock: Clock) -> None:
    """Another one failed, and this one was stopped: nothing ends it by itself."""
    mine = claim(cells[0])
    rank = Rank(cells[0].folder, clock, 1, 2)
    mine.end("failed", error="boom")
    assert not rank.wait(200), "it has a moment to leave by itself"
    record = last_attempt(cells[0])
    object.__setattr__(record, "end_time", time.time() - 100)
    record.write(cells[0].folder.attempt_file(1))
    assert rank.wait(10)


def test_a_job_that_was_suspended_as_a_whole_is_not_stuck_when_it_goes_on(cells: list[Cell], clock: Clock) -> None:
    claim(cells[0])
    rank = Rank(cells[0].folder, clock)
    assert not rank.wait(100)
    clock.now += 10 * SECONDS  # the watchdog was stopped as well
    assert not rank.watching.look()
    assert not rank.wait(100)


def test_a_rank_that_is_over_is_watched_no_more(cells: list[Cell], clock: Clock) -> None:
    claim(cells[0])
    rank = Rank(cells[0].folder, clock)
    assert not rank.wait(300)
    os.write(rank.pipe, OVER)
    rank.watching.run()
    assert cells[0].folder.silences(1) == []


@pytest.mark.slow
def test_a_full_pipe_stops_no_step(cells: list[Cell]) -> None:
    before = psutil.Process().children()
    with watchdog(cells[0].folder, 30, 0, 1, hosts=False) as dog:
        (child,) = set(psutil.Process().children()) - set(before)
        child.suspend()
        for _ in range(200_000):
            progress.tick()
        child.resume()
        dog.attempt(1)
    assert not child.is_running()


def test_a_rank_that_stays_busy_is_noted_once(cells: list[Cell], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(cells[0])
    rank = Rank(cells[0].folder, clock)
    letters = itertools.cycle("RSS")  # it computes and waits in turn, as all that runs does
    monkeypatch.setattr(watching, "process_letter", lambda pid: next(letters))
    assert not rank.wait(200)
    written = os.stat(cells[0].folder.silence_file(1, 0))
    for _ in range(9):
        assert not rank.wait(10)
        now = os.stat(cells[0].folder.silence_file(1, 0))
        assert (now.st_ino, now.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    (note,) = cells[0].folder.silences(1)
    assert not note.hangs


def test_a_file_system_that_keeps_the_watchdog_waiting_keeps_no_rank_alive(
    cells: list[Cell], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(cells[0])
    rank = Rank(cells[0].folder, clock)

    def slow(folder: CellFolder, number: int) -> list[Silence]:
        clock.now += 60
        return []

    monkeypatch.setattr(CellFolder, "silences", slow)
    assert rank.wait(2 * SECONDS)


def test_a_file_system_that_does_not_answer_ends_no_watchdog(
    cells: list[Cell], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rank is judged all the same; its silence is written down when that can be done, and goes when that can."""
    claim(cells[0])
    rank = Rank(cells[0].folder, clock)
    with monkeypatch.context() as away:
        stale(away, cells[0].folder)
        assert not rank.wait(300)
    assert cells[0].folder.silences(1) == []
    assert not rank.wait(10)
    assert [note.rank for note in cells[0].folder.silences(1)] == [0], "now that it answers"
    with monkeypatch.context() as away:
        stale(away, cells[0].folder)
        rank.tick()
    assert len(cells[0].folder.silences(1)) == 1, "it could not be removed"
    rank.tick()
    assert cells[0].folder.silences(1) == []
    stale(monkeypatch, cells[0].folder)
    assert rank.wait(SECONDS + 20)


def stale(monkeypatch: pytest.MonkeyPatch, folder: CellFolder) -> None:
    """What looks at a cell's attempts is told that the server does not know them any more."""

    def refused(real: Any) -> Any:
        def call(path: Path, *rest: Any, **given: Any) -> Any:
            if Path(path).is_relative_to(folder.attempts_folder):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return real(path, *rest, **given)

        return call

    for name in ("exists", "glob", "unlink"):
        monkeypatch.setattr(Path, name, refused(getattr(Path, name)))
    for name in ("lstat", "open"):
        monkeypatch.setattr(os, name, refused(getattr(os, name)))


@pytest.mark.slow
def test_a_rank_is_ended_also_where_nothing_can_be_written_down(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped, so that it writes no more: it must not stay so."""
    claim(cells[0])
    with subprocess.Popen(["sleep", "600"]) as rank, ended(rank):
        watched, pipe = beside(cells[0].folder, rank.pid, process_start(rank.pid), seconds=1)
        os.write(pipe, b"a1;")
        stale(monkeypatch, cells[0].folder)
        monkeypatch.setattr(Watching, "_close", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            watched.run()
        assert rank.wait(60) == -signal.SIGKILL
    os.close(pipe)


@pytest.mark.slow
def test_no_other_process_is_ended_for_its_number(cells: list[Cell]) -> None:
    made = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with made as other, ended(other):
        watched, pipe = beside(cells[0].folder, other.pid, "the rank's start", seconds=1)
        watched._end()  # the rank left in between
        said = other.communicate("I go on\n", timeout=900)[0]
        assert (said, other.returncode) == ("I go on\n", 0)
    os.close(pipe)


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """After it, the process is."""
    try:
        yield
    finally:
        process.kill()


@pytest.mark.parametrize("how", ["hangs up", "says so", "said so when it was looked at"])
def test_who_is_over_is_not_kept_waiting(cells: list[Cell], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A worker that still holds the pipe does not matter where the rank said it; a look an hour later is too late."""
    monkeypatch.setattr(watching, "LOOK_SECONDS", 3600.0 if how == "hangs up" else 0.1)
    watched, pipe = beside(cells[0].folder, os.getpid(), process_start(os.getpid()), seconds=100_000)
    if how == "said so when it was looked at":
        os.write(pipe, OVER)
        assert not watched.look()
    running = threading.Thread(target=watched.run, daemon=True)
    running.start()
    if how == "says so":
        os.write(pipe, OVER)
    elif how == "hangs up":
        os.close(pipe)
    running.join(60)
    assert not running.is_alive()


def beside(
    folder: CellFolder, pid: int, started: str | None, seconds: float, rank: int = 0, world: int = 1
) -> tuple[Watching, int]:
    """What watches a process, and the rank's end of the pipe."""
    read, pipe = os.pipe()
    os.set_blocking(read, False)
    about = Watched(
        folder=str(folder.path), pid=pid, started=started, rank=rank, world=world, seconds=seconds, hosts=False
    )  # fmt: skip
    return Watching(about, read), pipe
