"""The ledger: a cell's state from its folder, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import Death
from gta.config import Config, DataConfig, ModelConfig, PathsConfig, ScheduleConfig
from gta.data.splits.split import Split
from gta.journal import Journal
from gta.methods import METHODS
from launch.state.jobs import EndedJob, HeldJob
from launch.state.ledger import State, ledger, look, submitted_jobs, to_run
from launch.submit.watch import settle
from tests.helpers.cells import change_attempt, claim, failed, finish, submitted
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


def test_the_life_of_a_cell(cell: Cell) -> None:
    assert look(cell).state is State.NEVER_RUN
    submitted(cell, "57_3", 1.0)
    waiting = look(cell, {"57_3": HeldJob("57_3", "PENDING", "Priority")})
    assert (waiting.state, waiting.detail) == (State.QUEUED, "job 57_3 (Priority)")
    assert look(cell, {}).state is State.NEVER_RUN, "the job is gone and nothing was begun"
    mine = claim(cell)
    assert look(cell, {"57_3": HeldJob("57_3", "RUNNING")}).state is State.RUNNING
    Journal(cell.folder.journal_file).metrics(4, {"loss/supervised": 1.0})
    mine.end("interrupted")
    resumable = look(cell)
    assert resumable.state is State.RESUMABLE
    assert "iteration 4" in resumable.detail
    second = claim(cell)
    failed(cell, attempt=2)
    assert look(cell).state is State.RUNNING, "what lives has not failed yet"
    second.end("failed")
    entry = look(cell)
    assert (entry.state, entry.detail, entry.reason) == (State.FAILED, "boom", "failed: boom")
    finish(cell, miou=55.125)
    done = look(cell)
    assert (done.state, done.detail, done.reason, done.attempts) == (State.DONE, "mIoU 55.12", "", 2)
    assert done.miou == 55.125, "all its digits"


def test_a_failure_of_an_earlier_attempt_is_history(cell: Cell) -> None:
    claim(cell).end("failed")
    failed(cell)
    assert look(cell).state is State.FAILED
    claim(cell).end("interrupted")
    assert look(cell).state is State.RESUMABLE


def test_a_failed_cell_that_was_submitted_again_waits(cell: Cell) -> None:
    claim(cell).end("failed")
    failed(cell)
    submitted(cell, "58", 3.0)
    assert look(cell, {"58": HeldJob("58", "PENDING")}).state is State.QUEUED
    assert look(cell, {}).state is State.FAILED, "that job is gone too"
    assert submitted_jobs([cell], "slurm") == ["58"]
    assert submitted_jobs([cell], "local") == []


def test_a_failed_cell_runs_again_only_when_asked(cell: Cell) -> None:
    assert to_run(look(cell))
    claim(cell).end("failed")
    failed(cell)
    assert not to_run(look(cell))
    assert to_run(look(cell), retry="failed")


def test_a_job_that_slurm_no_longer_holds_is_not_waited_for(cell: Cell) -> None:
    submitted(cell, "57", 1.0)
    claim(cell, job="57")
    change_attempt(cell, place="another host", host="n7")
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
    submitted(cell, "57", 1.0)
    claim(cell, job="57")
    (entry,) = ledger([cell], {}, lambda jobs: {"57": slurm_says} if slurm_says else {})
    assert (entry.state, entry.cause) == (state, cause)
    assert to_run(entry) == (state is State.RESUMABLE)
    settle(entry)
    (later,) = ledger([cell], {}, lambda jobs: {})
    assert later.state is state, "the verdict stands when Slurm has forgotten the job"
    assert to_run(later, retry="all")


def test_a_job_that_fails_before_the_cell_begins_is_not_sent_again(cell: Cell) -> None:
    submitted(cell, "57", 1.0)
    (entry,) = ledger([cell], {}, lambda jobs: {"57": EndedJob("57", "FAILED", code=127)})
    assert entry.state is State.FAILED
    assert "exit code 127" in entry.detail


def test_attempts_without_progress_end(cell: Cell) -> None:
    cell = replace(cell, config=changed(cell.config, {"site.max_idle_attempts": 3}))
    for number in range(3):
        assert to_run(look(cell)), number
        claim(cell, after=number).began(4)
        dead(cell)
    entry = look(cell)
    assert (entry.state, entry.cause) == (State.FAILED, Death.GAVE_UP)
    assert "3 attempts without progress" in entry.detail
    submitted(cell, "60", 1.0, after=3, base=3)  # a person asked for it again
    assert to_run(look(cell, {}))
    fourth = claim(cell, after=3)
    fourth.began(4)
    fourth.saved(6)
    dead(cell)
    claim(cell, after=4).began(6)
    dead(cell)
    assert to_run(look(cell, {})), "one of the last three got on"


def dead(cell: Cell) -> None:
    """The last attempt's process is gone."""
    change_attempt(cell, started="0")


def test_a_cell_is_not_submitted_for_ever_when_nothing_begins(cell: Cell) -> None:
    submitted(cell, "57", 1.0, tries=5)
    entry = look(cell, {})
    assert (entry.state, entry.cause) == (State.FAILED, Death.GAVE_UP)
    claim(cell)
    dead(cell)
    assert to_run(look(cell, {})), "the fifth did begin"
