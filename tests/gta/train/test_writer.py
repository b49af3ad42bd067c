"""Checkpoints are written behind the training: it waits where it must, and nothing that goes wrong is lost."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from gta import files, journal
from gta.cellfolder import CellFolder
from gta.train import checkpoint
from gta.train.control import Control, Request
from gta.train.writer import THREAD, Writer
from launch.job.attempt import _Control
from launch.job.signals import Signals
from launch.state.attempts import Superseded, claim
from tests.helpers.configs import changed
from tests.helpers.method_contract import same
from tests.helpers.program import ROOT
from tests.helpers.training import DieAfter, make, points, result, train_in

SECONDS = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("writer")


class Gate:
    """Holds `checkpoint.save` of a checkpoint back until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, first: int = 1):
        self.open = threading.Event()
        self.reached = threading.Event()
        self.saves = 0
        save = checkpoint.save

        def held(path: Path, *rest: Any, **more: Any) -> None:
            if path.name == "checkpoint.pt":
                self.saves += 1
                if self.saves >= first:
                    self.reached.set()
                    assert self.open.wait(SECONDS)
            save(path, *rest, **more)

        monkeypatch.setattr(checkpoint, "save", held)


def test_a_write_holds_what_was_there_and_the_next_one_waits_for_it() -> None:
    going, over = threading.Event(), list[float]()
    writer, state = Writer(), {"a": torch.ones(3)}

    def work(taken: dict[str, Any]) -> None:
        assert going.wait(SECONDS)
        over.append(float(taken["a"].sum()))

    writer.write(state, work)
    state["a"].zero_()
    writer.check()
    assert over == [], "nobody waits"
    opens = threading.Timer(0.1, going.set)
    opens.start()
    writer.write(state, work)
    assert over[0] == 3
    writer.wait()
    assert over == [3, 0]
    assert THREAD not in [thread.name for thread in threading.enumerate()], "none that a fork could meet"


@pytest.mark.parametrize("how", ["check", "wait", "write", "leave"])
def test_what_went_wrong_is_raised_once_in_the_thread_that_trains(how: str) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "checkpoint.pt")

    def work(_: dict[str, Any]) -> None:
        raise full

    writer = Writer()
    writer.write({}, work)
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()
    then = {
        "check": writer.check,
        "wait": writer.wait,
        "write": lambda: writer.write({}, work),
        "leave": lambda: writer.__exit__(None, None, None),
    }
    with pytest.raises(OSError, match="No space left") as told:
        then[how]()
    assert told.value is full
    writer.wait()


def test_another_error_stays_the_first_one_and_the_writers_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: dict[str, Any]) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def fail() -> None:
        with Writer() as writer:
            writer.write({}, work)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert "The last save did not end well: OSError: [Errno 30] Read-only file system" in capsys.readouterr().out


def test_without_it_nothing_is_copied_and_training_waits() -> None:
    state, seen = {"a": torch.ones(3)}, list[Any]()
    Writer(behind=False).write(state, lambda given: seen.extend((given, threading.current_thread())))
    assert seen[0] is state
    assert seen[1] is threading.current_thread()


@pytest.mark.slow
def test_a_system_that_gives_no_thread_costs_time_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    written = list[float]()
    with Writer() as writer:
        writer.write({"x": torch.tensor(3.0)}, lambda state: written.append(float(state["x"])))
        assert written == [3.0]
    assert "Training waits for this checkpoint: can't start new thread" in capsys.readouterr().out


def test_steps_go_on_meanwhile_and_it_is_the_run_that_waits(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(folder, iterations=12, eval_every=6)
    assert train_in(tmp_path / "waits", changed(config, {"site.save_behind": False}))
    gate, told = Gate(monkeypatch), list[tuple[int, int]]()

    class Watching(Control):
        steps = 0

        def request(self) -> Request:
            self.steps += 1
            if self.steps == 5:  # the checkpoint of iteration 3 is still to be written
                assert gate.reached.wait(SECONDS)
                assert not (tmp_path / "behind/checkpoint.pt").exists()
                assert told == []
                gate.open.set()
            return Request.NONE

        def saved(self, iteration: int) -> None:
            assert checkpoint.load(tmp_path / "behind/checkpoint.pt")["iteration"] == iteration
            told.append((iteration, self.steps))

    assert train_in(tmp_path / "behind", config, control=Watching())
    assert [iteration for iteration, _ in told] == [3, 6, 9, 12]
    assert told[0][1] >= 5
    for name in ("checkpoint.pt", "best.pt"):
        states = [checkpoint.load(tmp_path / run / name) for run in ("waits", "behind")]
        for state in states:
            state.pop("seconds", None)
        assert same(*states), name
    assert points(tmp_path / "waits") == points(tmp_path / "behind")


@pytest.mark.slow
def test_a_signal_during_a_write_saves_the_step_that_it_came_in(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(folder)
    assert train_in(tmp_path / "whole", config)
    gate, signals = Gate(monkeypatch), Signals().install()

    class Preempted(Control):
        steps = 0

        def request(self) -> Request:
            self.steps += 1
            if self.steps == 4:
                assert gate.reached.wait(SECONDS)
                os.kill(os.getpid(), signal.SIGTERM)
                threading.Timer(0.2, gate.open.set).start()
            return signals.request()

    try:
        assert not train_in(tmp_path / "cell", config, control=Preempted())
    finally:
        signals.remove()
    cell = CellFolder(tmp_path / "cell")
    found = [checkpoint.load(path)["iteration"] for path in (cell.previous_checkpoint_file, cell.checkpoint_file)]
    assert found == [3, 4]
    monkeypatch.undo()
    assert train_in(cell.path, config)
    assert_same(cell.path, tmp_path / "whole")


def test_a_run_that_fails_leaves_no_write_half_done(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    threading.Timer(0.3, gate.open.set).start()
    with pytest.raises(KeyboardInterrupt):
        train_in(tmp_path, make(folder), control=DieAfter(4))
    assert checkpoint.load(tmp_path / "checkpoint.pt")["iteration"] == 3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [4, 99], ids=["it knows", "the thread finds out"])
def test_who_lost_the_cell_puts_nothing_in_its_place(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """The write of iteration 3 reaches the disk after another attempt has the cell."""
    cell, flushing, lost = CellFolder(tmp_path), threading.Event(), threading.Event()
    mine = claim(cell)
    assert mine is not None
    to_disk = files.to_disk

    def held(path: Path) -> None:
        to_disk(path)
        if path.name.startswith(".checkpoint.pt"):
            flushing.set()
            assert lost.wait(SECONDS)

    class Losing(_Control):
        steps = 0

        def request(self) -> Request:
            self.steps += 1
            if self.steps == 4:
                assert flushing.wait(SECONDS)
                cell.checkpoint_file.write_text("of the attempt that has it now")
                cell.attempt_file(2).write_text("{}")
                if steps == 4:
                    threading.Timer(0.2, lost.set).start()  # while the end of the run waits for the thread
                    mine.check()
                lost.set()
            return super().request()

    monkeypatch.setattr(files, "to_disk", held)
    with pytest.raises(Superseded, match="attempt 2 has the cell now"):
        train_in(tmp_path, make(folder), control=Losing(mine, Signals()))
    assert cell.checkpoint_file.read_text() == "of the attempt that has it now"
    assert not cell.previous_checkpoint_file.exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_full_disk_ends_the_run_before_its_next_save(folder: Path, tmp_path: Path) -> None:
    """No file may grow beyond 20 kB, which the journal is far from."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as told:
            train_in(tmp_path, make(folder, iterations=40, eval_every=40))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.filename == str(tmp_path / "checkpoint.pt")
    last = journal.last(tmp_path / "journal.jsonl")
    assert last is not None
    assert 3 <= last["iteration"] <= 6
    assert not list(tmp_path.glob("*.pt"))
    assert not list(tmp_path.glob(".*"))


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from gta.train import checkpoint
from gta.train.control import Control, Request
from tests.helpers.training import make, train_in

going_on = threading.Event()
write = checkpoint._Sealing.write
writes = 0

class Steps(Control):
    steps = 0
    def request(self):
        self.steps += 1
        if self.steps == 8:  # two steps after the save of iteration 6
            going_on.set()
        return Request.NONE

def dying(self, data):
    global writes
    if "checkpoint.pt" in self.file.name and Path(sys.argv[2], "checkpoint.pt").exists():
        writes += 1
        if writes == 40:
            assert threading.current_thread() is not threading.main_thread()
            assert going_on.wait(60)
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    return write(self, data)

checkpoint._Sealing.write = dying
train_in(Path(sys.argv[2]), make(Path(sys.argv[1])), control=Steps())
"""


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_write_goes_on_from_the_checkpoint_before(folder: Path, tmp_path: Path) -> None:
    """In a process of its own, which trains on while it writes."""
    config, cell = make(folder), CellFolder(tmp_path / "cell")
    assert train_in(tmp_path / "whole", config)
    words = [sys.executable, "-c", KILLED, str(folder), str(cell.path)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert checkpoint.load(cell.checkpoint_file)["iteration"] == 3
    (left,) = cell.path.glob(".checkpoint.pt.*.tmp")
    assert 0 < left.stat().st_size < cell.checkpoint_file.stat().st_size
    last = journal.last(cell.journal_file)
    assert last is not None
    assert last["iteration"] == 8, "steps went on"

    assert train_in(cell.path, config)
    assert_same(cell.path, tmp_path / "whole")
    resumed = [record for record in journal.read(cell.journal_file) if record.get("event") == "resumed"]
    assert [record["iteration"] for record in resumed] == [3]


def assert_same(cell: Path, whole: Path) -> None:
    assert not list(cell.glob(".*"))
    assert points(cell) == points(whole)
    assert result(cell)["networks"] == result(whole)["networks"]
    assert same(*(checkpoint.load(path / "checkpoint.pt")["method"] for path in (cell, whole)))
