"""One attempt at a cell: it trains what was frozen, or nothing; a result is never made twice."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from gta import journal
from gta.cell import Cell
from gta.cellfolder import CellFolder, Death
from gta.cli.composing import grid
from gta.errors import UserError
from gta.train.control import Request
from launch.job.attempt import Sent, _Control, run_cell, run_rank
from launch.job.rendezvous import Place
from launch.state.ledger import State, look
from tests.helpers.cells import cancelled, claim, last_attempt, submitted
from tests.helpers.configs import changed
from tests.helpers.program import ROOT, Run
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
    with pytest.raises(UserError, match=r"The labeled list changed after the cell .* was frozen"):
        run_cell(cell.folder)
    assert look(cell).state is State.FAILED
    assert not cell.folder.done


def test_a_config_that_was_edited_since_is_refused_as_that(cell: Cell) -> None:
    whole = cell.folder.config_file.read_text()
    cell.folder.config_file.write_text(whole.replace("iterations: 8", "iterations: 9"))
    said = r"config.yaml was edited after the cell .* was frozen: schedule.iterations=9 \(was 8\).*gta retry"
    with pytest.raises(UserError, match=said):
        run_cell(cell.folder)
    cell.folder.identity_file.unlink()
    with pytest.raises(UserError, match="The config, the split lists or the initial weights changed"):
        run_cell(cell.folder)


def test_a_cell_that_another_process_has_is_taken(cell: Cell) -> None:
    other = claim(cell)
    assert run_cell(cell.folder) == "taken"
    other.end("interrupted")
    assert run_cell(cell.folder) == "done"


def test_a_cell_that_was_cancelled_while_its_job_waited_is_left_alone(
    cell: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place("57", "log")
    cancelled(cell)
    submitted(cell, "57", time.time() - 60)
    assert run_cell(cell.folder, place) == "cancelled"
    assert "This cell was cancelled after its submission; leaving it alone." in capsys.readouterr().out
    assert cell.folder.attempts() == []
    submitted(cell, "58", time.time() + 1)  # a person's retry
    assert run_cell(cell.folder, place) == "done"


def test_a_retried_job_that_starts_before_its_record_is_written_obeys_no_old_verdict(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sbatch is that fast: the launcher has written no `submitted.json` yet."""
    monkeypatch.setattr("launch.state.attempts.BEAT_SECONDS", 0.02)
    place = Place("58", "log")
    made = time.time() - 30
    submitted(cell, "57", made - 60, tries=cell.config.site.max_idle_attempts)
    cancelled(cell, when=made - 10, job="57")
    with pytest.raises(UserError, match="given up"):
        run_cell(cell.folder, place, sent=Sent(time=made))
    cancelled(cell, when=made + 10)
    assert run_cell(cell.folder, place, sent=Sent(time=made, asked=True)) == "cancelled", "since it was sent"
    cancelled(cell, when=made - 10, job="57")
    assert run_cell(cell.folder, place, sent=Sent(time=made, asked=True)) == "done"


def test_a_cell_that_is_cancelled_while_it_trains_saves_and_leaves_by_itself(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No signal reaches it: the word in its folder is enough."""
    monkeypatch.setattr("launch.state.attempts.BEAT_SECONDS", 0.02)
    submitted(cell, "57", time.time() - 60)
    saw = _Control.began

    def cancel_now(self: _Control, iteration: int) -> None:
        saw(self, iteration)
        cancelled(cell, job="57")
        assert self.mine
        deadline = time.monotonic() + 60
        while not self.mine.cancelled and time.monotonic() < deadline:
            time.sleep(0.01)

    monkeypatch.setattr(_Control, "began", cancel_now)
    assert run_cell(cell.folder, Place("57", "log")) == "interrupted"
    left = last_attempt(cell)
    assert (left.ended, left.why, left.saved) == ("interrupted", "cancelled", 1)
    assert look(cell).state is State.CANCELLED
    monkeypatch.setattr(_Control, "began", saw)
    assert run_cell(cell.folder) == "done", "by hand, without a job, a person means it"


def test_a_failure_of_a_superseded_attempt_is_not_recorded(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_late(*_: object, **__: object) -> bool:
        last = last_attempt(cell)
        last.write(cell.folder.attempt_file(last.number + 1))
        raise RuntimeError("late")

    monkeypatch.setattr("gta.train.run.train", fail_late)
    with pytest.raises(RuntimeError, match="late"):
        run_cell(cell.folder)
    assert cell.folder.failure() is None


def test_a_cell_whose_folder_is_deleted_while_it_runs_stops_and_leaves_it_deleted(
    small: list[str], tmp_path: Path
) -> None:
    words = ["-m", "gta", "train", *small, "method=supervised", "schedule.iterations=100000", "schedule.eval_every=50"]
    process = subprocess.Popen([sys.executable, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("iteration"):
            break
    (folder,) = tmp_path.glob("runs/cells/*")
    folder.rename(tmp_path / "away")  # at once, where removing its files may meet one that is being written
    said = process.communicate(timeout=900)[0]
    assert process.returncode == 3, said
    assert "is gone: the cell's folder was deleted or moved, and is left as it is." in said
    assert not folder.exists()


@pytest.mark.parametrize("world", [1, 2])
def test_a_job_whose_cell_was_deleted_while_it_waited_does_not_make_it_anew(
    cell: Cell, world: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(cell.folder.path)
    with pytest.raises(SystemExit) as ended:
        run_rank(cell.folder, Place("57", "log", world=world))
    assert ended.value.code == 1
    assert "the cell's folder was deleted or moved after it was submitted." in capsys.readouterr().err
    with pytest.raises(UserError):
        run_cell(cell.folder)
    assert not cell.folder.path.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_would_go_unused_fails_the_cell_unless_the_site_allows_it(cell: Cell) -> None:
    paid = changed(cell.config, {"site.gpus_per_node": 1})
    replace(cell, config=paid).write()
    with pytest.raises(UserError, match=r"asks for a GPU, and PyTorch .* sees none on .*site.gpu_must_be_seen=false"):
        run_cell(cell.folder)
    entry = look(cell)
    assert (entry.state, entry.attempts) == (State.FAILED, 1)
    assert "asks for a GPU" in entry.detail

    replace(cell, config=changed(paid, {"site.gpu_must_be_seen": False})).write()
    assert run_cell(cell.folder) == "done", "and it is the same cell"


def test_two_ranks_of_torchrun_train_what_one_process_does(small: list[str], tmp_path: Path) -> None:
    words = [*small, "method=gta", "schedule.group_size=4"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "gta"]
    answer = subprocess.run([*torchrun, "train", *words], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "gta 1/5 seed 0: done" in answer.stdout
    (two,) = tmp_path.glob("runs/cells/*/journal.jsonl")
    assert journal.read(two)[0]["world_size"] == 2
    before = CellFolder(two.parent).result()

    again = [sys.executable, "-m", "tests.helpers.ranks_again", str(two.parent), *words]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    answer = subprocess.run(
        again, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=900
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "is done" in answer.stdout
    assert "The one before it is used, checkpoint.previous.pt" in answer.stdout
    after = CellFolder(two.parent).result()
    assert before is not None
    assert after is not None
    assert after.networks == before.networks

    (one,) = tmp_path.glob("alone/cells/*/journal.jsonl")
    assert one.parent.name == two.parent.name, "the number of ranks is not in the signature"
    mine, theirs = points(one.parent), points(two.parent)
    assert mine.keys() == theirs.keys()
    losses = [key for key in mine if key[0].startswith("loss/")]
    assert [mine[key] for key in losses] == pytest.approx([theirs[key] for key in losses], rel=1e-3)


def test_a_worker_that_is_killed_is_the_machines_fault(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the system does where memory runs out: the cell goes on by itself, and is given up after some times."""
    cell = replace(cell, config=changed(cell.config, {"site.workers": 1, "site.max_idle_attempts": 2}))
    cell.write()
    asked = _Control.request

    def kill(self: _Control) -> Request:
        me = psutil.Process()
        for child in me.children():
            if child.cmdline() == me.cmdline():
                child.kill()
                child.wait()
        time.sleep(60)  # torch says so by an exception, at once
        return asked(self)

    monkeypatch.setattr(_Control, "request", kill)
    with pytest.raises(RuntimeError, match="is killed by signal: Killed"):
        run_cell(cell.folder)
    assert "The attempt is lost: a process that loads data was killed (signal 9)" in capsys.readouterr().out
    assert cell.folder.failure() is None
    entry = look(cell)
    assert entry.state is State.RESUMABLE
    assert "a process that loads data was killed" in entry.detail
    with pytest.raises(RuntimeError):
        run_cell(cell.folder)
    assert look(cell).cause is Death.GAVE_UP, "bounded"


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be reported later", True),
        ("CUDA error: CUDA-capable device(s) is/are busy or unavailable", True),
        ("CUDA error: device-side assert triggered", False),
    ],
)
def test_a_broken_gpu_is_the_machines_fault(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, lost: bool
) -> None:
    def fail(self: _Control, iteration: int) -> None:
        raise RuntimeError(said)

    cell.write()
    monkeypatch.setattr(_Control, "began", fail)
    with pytest.raises(RuntimeError, match="CUDA error"):
        run_cell(cell.folder)
    first = said.partition("\n")[0]
    assert (f"The attempt is lost: the GPU is broken or taken ({first})" in capsys.readouterr().out) == lost
    assert (cell.folder.failure() is None) == lost
    assert look(cell).state is (State.RESUMABLE if lost else State.FAILED)


def test_a_failure_that_cannot_be_written_down_is_one_line(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fail(*_: object, **__: object) -> bool:
        monkeypatch.setattr(CellFolder, "failure_of", lambda self, number: None)
        monkeypatch.setattr("launch.job.failure.Failure.write", full)
        raise RuntimeError("boom")

    monkeypatch.setattr("gta.train.run.train", fail)
    with pytest.raises(SystemExit):
        run_rank(cell.folder, Place("57", "log"))
    said = capsys.readouterr().err
    assert said.count("Traceback") == 1, "of what ended the cell, and of nothing else"
    assert f"could not be written into {cell.folder.path} (No space left on device)." in said


def test_every_job_masks_what_its_ranks_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A drill's as well: it is the rank that masks."""
    with pytest.raises(SystemExit):
        run_rank(CellFolder(tmp_path / "password=hunter22"), Place("57", "log"))
    said = capsys.readouterr().err
    assert "password=***" in said
    assert "hunter22" not in said


def test_a_full_disk_is_a_sentence(small: list[str], tmp_path: Path) -> None:
    """Here no file may grow beyond 60 kB: a checkpoint is larger."""
    words = [sys.executable, "-m", "gta", "train", *small, "method=supervised"]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=900, preexec_fn=limit)
    assert ended.returncode == 2, ended.stderr
    (path,) = tmp_path.glob("runs/cells/*")
    assert re.fullmatch(
        rf"error: File too large: {path}/\w+.pt; make room, then run the same command again\n", ended.stderr
    )
    failure = CellFolder(path).failure()
    assert failure is not None
    assert failure.error.startswith(f"File too large ({path}/")
    assert not [name for name in path.rglob("*") if name.name.endswith(".tmp")]


def test_train_says_who_has_the_cell_and_what_to_do(cell: Cell, small: list[str], say: Run) -> None:
    other = claim(cell, job="57")
    ended = say("train", "sweep=shapes", *small, "method=supervised", "seed=0")
    name = cell.signature[:8]
    assert ended.returncode == 2
    assert f"({name}) is being trained already by process {os.getpid()} on " in ended.stderr
    assert ", job 57, since " in ended.stderr
    assert f"`gta cancel {name}` saves it" in ended.stderr
    assert "Another process has this cell (process " in ended.stdout
    other.end("interrupted")


def test_sigterm_leaves_no_temporary_file(small: list[str], tmp_path: Path) -> None:
    """It comes while the folder of the cell is written."""
    code = """
import sys, time
from gta import files
from gta.cli.main import main

def wait(path):
    if "cells" in path.parts:
        print("writing", flush=True)
        time.sleep(600)

files.to_disk = wait
sys.exit(main(sys.argv[1:]))
"""
    words = [sys.executable, "-c", code, "train", *small, "method=supervised"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any(line == "writing\n" for line in process.stdout)
    assert list(tmp_path.glob("runs/**/.*.tmp"))
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=900)[1] == ""
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("runs/**/.*.tmp"))
