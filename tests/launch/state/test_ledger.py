"""The ledger: a cell's state from its folder, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.config import Config, DataConfig, ModelConfig, PathsConfig, ScheduleConfig
from gta.data.splits.split import Split
from gta.files import write_json
from gta.journal import Journal
from gta.methods import METHODS
from launch.state import attempts
from launch.state.jobs import EndedJob, HeldJob
from launch.state.ledger import State, ledger, look, submitted_jobs, to_run
from launch.state.policy import Death
from launch.submit.watch import settle
from tests.helpers.configs import changed


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    config = Config(
        method=METHODS["supervised"].Config(),
        data=DataConfig(name="toy", split="1/8", classes=["a", "b"], crop_size=32, root="/data", split_dir="/splits"),
        model=ModelConfig(encoder="tiny", width=8, weights="random"),
        schedule=ScheduleConfig(iterations=10, batch_size=4, group_size=2, lr=0.1, eval_every=5),
        paths=PathsConfig(runs=str(tmp_path)),
    )
    return Cell.of(config, Split(labeled=["a"], unlabeled=["b"], val=["d"]))


def claim(cell: Cell, **fields: Any) -> attempts.Attempt:
    made = attempts.claim(cell.folder, **fields)
    assert made is not None
    return made


def submit(cell: Cell, job: str, when: float, **fields: Any) -> None:
    record = {"job": job, "time": when, "cluster": "slurm", "log": "/log", "after": 0, "tries": 1, "base": 0}
    write_json(cell.folder / "submitted.json", {**record, **fields})


def test_the_life_of_a_cell(cell: Cell) -> None:
    assert look(cell).state is State.NEVER_RUN
    submit(cell, "57_3", 1.0)
    waiting = look(cell, {"57_3": HeldJob("57_3", "PENDING", "Priority")})
    assert (waiting.state, waiting.detail) == (State.QUEUED, "job 57_3 (Priority)")
    assert look(cell, {}).state is State.NEVER_RUN, "the job is gone and nothing was begun"
    mine = claim(cell)
    assert look(cell, {"57_3": HeldJob("57_3", "RUNNING")}).state is State.RUNNING
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
    submit(cell, "58", 3.0)
    assert look(cell, {"58": HeldJob("58", "PENDING")}).state is State.QUEUED
    assert look(cell, {}).state is State.FAILED, "that job is gone too"
    assert submitted_jobs([cell], "slurm") == ["58"]
    assert submitted_jobs([cell], "local") == []


def test_a_failed_cell_runs_again_only_when_asked(cell: Cell) -> None:
    assert to_run(look(cell))
    claim(cell).end("failed")
    write_json(cell.folder / "failure.json", {"attempt": 1, "error": "boom", "time": 2.0})
    assert not to_run(look(cell))
    assert to_run(look(cell), retry="failed")


def on_another_host(attempt: attempts.Attempt) -> None:
    attempt.fields["place"] = "another host"
    attempt.note(host="n7")


def test_a_job_that_slurm_no_longer_holds_is_not_waited_for(cell: Cell) -> None:
    submit(cell, "57", 1.0)
    on_another_host(claim(cell, job="57"))
    assert look(cell, {"57": HeldJob("57", "RUNNING")}).state is State.RUNNING
    assert look(cell).state is State.RUNNING, "nobody could be asked: the heartbeat is fresh"
    assert look(cell, {}).state is State.RESUMABLE
    again = look(cell, {"57": HeldJob("57", "PENDING", "BeginTime")})
    assert (again.state, again.detail) == (State.QUEUED, "job 57, queued again after attempt 1 (BeginTime)")


@pytest.mark.parametrize(
    ("slurm_says", "state", "cause"),
    [
        (EndedJob("57", "TIMEOUT"), State.RESUMABLE, Death.TIME_LIMIT),
        (EndedJob("57", "PREEMPTED"), State.RESUMABLE, Death.PREEMPTED),
        (EndedJob("57", "NODE_FAIL"), State.RESUMABLE, Death.NODE_FAILURE),
        (EndedJob("57", "FAILED", signal=9), State.RESUMABLE, Death.VANISHED),
        (EndedJob("57", "COMPLETED"), State.RESUMABLE, Death.VANISHED),
        (None, State.RESUMABLE, Death.VANISHED),
        (EndedJob("57", "OUT_OF_MEMORY", code=125), State.FAILED, Death.MEMORY),
        (EndedJob("57", "CANCELLED"), State.CANCELLED, Death.CANCELLED),
    ],
)
def test_every_death_has_its_policy(cell: Cell, slurm_says: EndedJob | None, state: State, cause: Death) -> None:
    submit(cell, "57", 1.0)
    claim(cell, job="57")
    (entry,) = ledger([cell], {}, lambda jobs: {"57": slurm_says} if slurm_says else {})
    assert (entry.state, entry.cause) == (state, cause)
    assert to_run(entry) == (state is State.RESUMABLE)
    settle(entry)
    (later,) = ledger([cell], {}, lambda jobs: {})
    assert later.state is state, "the verdict stands when Slurm has forgotten the job"
    assert to_run(later, retry="all")


def test_a_job_that_fails_before_the_cell_begins_is_not_sent_again(cell: Cell) -> None:
    submit(cell, "57", 1.0)
    (entry,) = ledger([cell], {}, lambda jobs: {"57": EndedJob("57", "FAILED", code=127)})
    assert entry.state is State.FAILED
    assert "exit code 127" in entry.detail


def test_attempts_without_progress_end(cell: Cell) -> None:
    cell = replace(cell, config=changed(cell.config, {"site.max_idle_attempts": 3}))
    for number in range(3):
        assert to_run(look(cell)), number
        claim(cell, after=number).note(**{"from": 4})
        dead(cell)
    entry = look(cell)
    assert (entry.state, entry.cause) == (State.FAILED, Death.GAVE_UP)
    assert "3 attempts without progress" in entry.detail
    submit(cell, "60", 1.0, after=3, base=3)  # a person asked for it again
    assert to_run(look(cell, {}))
    claim(cell, after=3).note(**{"from": 4, "saved": 6})
    dead(cell)
    claim(cell, after=4).note(**{"from": 6})
    dead(cell)
    assert to_run(look(cell, {})), "one of the last three got on"


def dead(cell: Cell) -> None:
    """The last attempt's process is gone."""
    last = attempts.latest(cell.folder)
    assert last is not None
    write_json(last.path, {**last.fields, "started": "0"})


def test_a_cell_is_not_submitted_for_ever_when_nothing_begins(cell: Cell) -> None:
    submit(cell, "57", 1.0, tries=5)
    entry = look(cell, {})
    assert (entry.state, entry.cause) == (State.FAILED, Death.GAVE_UP)
    claim(cell)
    dead(cell)
    assert to_run(look(cell, {})), "the fifth did begin"
