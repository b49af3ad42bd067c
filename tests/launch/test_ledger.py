"""The ledger: a cell's state from its folder, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.config import Config, DataConfig, ModelConfig, ScheduleConfig
from gta.data.splits import Split
from gta.files import write_json
from gta.journal import Journal
from gta.methods import METHODS
from launch import attempts
from launch.cell import Cell
from launch.ledger import State, look, submitted_jobs, to_run


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    config = Config(
        method=METHODS["supervised"].Config(),
        data=DataConfig(name="toy", split="1/8", classes=["a", "b"], crop_size=32, root="/data", split_dir="/splits"),
        model=ModelConfig(encoder="tiny", width=8, weights="random"),
        schedule=ScheduleConfig(iterations=10, batch_size=4, group_size=2, lr=0.1, eval_every=5),
    )
    config.paths.runs = str(tmp_path)
    return Cell.of(config, Split(labeled=["a"], unlabeled=["b"], val=["d"]))


def claim(cell: Cell) -> attempts.Attempt:
    made = attempts.claim(cell.folder)
    assert made is not None
    return made


def test_the_life_of_a_cell(cell: Cell) -> None:
    assert look(cell).state is State.NEVER_RUN
    write_json(cell.folder / "submitted.json", {"job": "57_3", "time": 1.0, "cluster": "slurm", "log": "/log"})
    assert look(cell, live_jobs={"57_3"}).state is State.QUEUED
    assert look(cell, live_jobs=()).state is State.NEVER_RUN, "the job is gone and nothing was begun"
    mine = claim(cell)
    assert look(cell, live_jobs={"57_3"}).state is State.RUNNING
    Journal(cell.folder / "journal.jsonl").metrics(4, {"loss/supervised": 1.0})
    mine.end("interrupted")
    resumable = look(cell)
    assert resumable.state is State.RESUMABLE
    assert "iteration 4" in resumable.detail
    write_json(cell.folder / "failure.json", {"attempt": claim(cell).number, "error": "boom", "time": 2.0})
    assert look(cell).state is State.RUNNING, "what lives has not failed yet"
    attempts.Attempt(2, cell.folder / "attempts" / "0002.json", {}).end("failed")
    failed = look(cell)
    assert (failed.state, failed.detail, failed.reason) == (State.FAILED, "boom", "failed: boom")
    networks = {"student": {"last": {"miou": 55.125}}}
    write_json(cell.folder / "result.json", {"headline": "student", "networks": networks})
    done = look(cell)
    assert (done.state, done.detail, done.reason, done.attempts) == (State.DONE, "mIoU 55.12", "", 2)


def test_a_failure_of_an_earlier_attempt_is_history(cell: Cell) -> None:
    claim(cell).end("failed")
    write_json(cell.folder / "failure.json", {"attempt": 1, "error": "boom", "time": 2.0})
    assert look(cell).state is State.FAILED
    claim(cell).end("interrupted")
    assert look(cell).state is State.RESUMABLE


def test_a_failed_cell_that_was_submitted_again_waits(cell: Cell) -> None:
    claim(cell).end("failed")
    write_json(cell.folder / "failure.json", {"attempt": 1, "error": "boom", "time": 2.0})
    write_json(cell.folder / "submitted.json", {"job": "58", "time": 3.0, "cluster": "slurm"})
    assert look(cell, live_jobs={"58"}).state is State.QUEUED
    assert look(cell).state is State.FAILED, "that job is gone too"
    assert submitted_jobs([cell], "slurm") == ["58"]
    assert submitted_jobs([cell], "local") == []


def test_a_failed_cell_runs_again_only_when_asked(cell: Cell) -> None:
    assert to_run(look(cell))
    claim(cell).end("failed")
    write_json(cell.folder / "failure.json", {"attempt": 1, "error": "boom", "time": 2.0})
    assert not to_run(look(cell))
    assert to_run(look(cell), retry="failed")
