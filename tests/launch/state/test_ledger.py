"""The ledger: a cell's state from its folder, and from nothing else."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.cellfolder import Death, Submitted
from gta.config import Config, DataConfig, ModelConfig, PathsConfig, ScheduleConfig
from gta.data.splits.split import Split
from gta.journal import Journal
from gta.methods import METHODS
from launch.state.jobs import EndedJob, HeldJob, Unknown, Word
from launch.state.ledger import State, ledger, look, silence, submitted_jobs, to_run
from launch.submit.watch import settle
from tests.helpers.cells import change_attempt, claim, failed, finish, submitted
from tests.helpers.configs import changed

SILENT = Unknown("Slurm does not answer", silent=True)


class Says:
    """A scheduler that holds nothing, and says one thing of how any job ended; None: it has forgotten all of them."""

    def __init__(self, fate: Word | None):
        self.fate = fate

    def words(self, sent: Sequence[Submitted]) -> list[Word | None]:
        return [EndedJob(one.job) for one in sent]

    def fates(self, sent: Sequence[Submitted]) -> list[Word]:
        return [self.fate or EndedJob(one.job) for one in sent]


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
    waiting = look(cell, HeldJob("57_3", "PENDING", "Priority"))
    assert (waiting.state, waiting.detail) == (State.QUEUED, "job 57_3 (Priority)")
    assert look(cell, EndedJob("57_3")).state is State.NEVER_RUN, "the job is gone and nothing was begun"
    mine = claim(cell)
    assert look(cell, HeldJob("57_3", "RUNNING")).state is State.RUNNING
    Journal(cell.folder.journal_file).metrics(4, {"loss/supervised": 1.0})
    mine.end("interrupted")
    resumable = look(cell, EndedJob("57_3"))
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
    assert look(cell, HeldJob("58", "PENDING")).state is State.QUEUED
    assert look(cell, SILENT).state is State.QUEUED, "as far as anybody knows"
    assert look(cell, EndedJob("58")).state is State.FAILED, "that job is gone too"
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
    assert look(cell, HeldJob("57", "RUNNING")).state is State.RUNNING
    assert look(cell, SILENT).state is State.RUNNING, "nobody could be asked: the heartbeat is fresh"
    assert look(cell, EndedJob("57")).state is State.RUNNING, "nobody says that it ended, and its heart beats"
    assert look(cell, EndedJob("57", "NODE_FAIL")).state is State.RESUMABLE
    again = look(cell, HeldJob("57", "PENDING", "BeginTime"))
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
    if slurm_says is None:
        dead(cell)
    (entry,) = ledger([cell], Says(slurm_says))
    assert (entry.state, entry.cause) == (state, cause)
    assert to_run(entry) == (state is State.RESUMABLE)
    settle(entry)
    dead(cell)
    (later,) = ledger([cell], Says(None))
    assert later.state is state, "the verdict stands when Slurm has forgotten the job"
    assert to_run(later, retry="all")


def test_a_job_that_fails_before_the_cell_begins_is_not_sent_again(cell: Cell) -> None:
    submitted(cell, "57", 1.0)
    (entry,) = ledger([cell], Says(EndedJob("57", "FAILED", code=127)))
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
    assert to_run(look(cell, EndedJob("60")))
    fourth = claim(cell, after=3)
    fourth.began(4)
    fourth.saved(6)
    dead(cell)
    claim(cell, after=4).began(6)
    dead(cell)
    assert to_run(look(cell, EndedJob("60"))), "one of the last three got on"


def dead(cell: Cell) -> None:
    """The last attempt's process is gone."""
    change_attempt(cell, started="0")


def test_a_cell_is_not_submitted_for_ever_when_nothing_begins(cell: Cell) -> None:
    submitted(cell, "57", 1.0, tries=5)
    entry = look(cell, EndedJob("57"))
    assert (entry.state, entry.cause) == (State.FAILED, Death.GAVE_UP)
    claim(cell)
    dead(cell)
    assert to_run(look(cell, EndedJob("57"))), "the fifth did begin"


def test_silence_is_no_answer(cell: Cell) -> None:
    """Nothing is submitted again, or called lost, because nobody says anything."""
    assert to_run(look(cell, None)), "it was never sent: there is nobody to ask"
    submitted(cell, "57", 1.0)
    for word in (SILENT, None, EndedJob("56"), HeldJob("58", "PENDING")):  # no word, and words of other jobs
        entry = look(cell, word)
        assert (entry.state, to_run(entry, "all")) == (State.QUEUED, False)
        assert entry.unknown
    assert silence([look(cell, SILENT)]) is SILENT
    claim(cell, job="57")
    dead(cell)
    entry = look(cell, SILENT)
    assert (entry.state, to_run(entry, "all")) == (State.UNKNOWN, False)
    assert entry.detail == "stopped before its first iterations; Slurm does not answer"
    over = look(cell, Unknown("job 57 is over, and the accounting still calls it RUNNING", over=True))
    assert (over.state, to_run(over, "all")) == (State.UNKNOWN, False)
    assert silence([over]) is None, "others can be submitted meanwhile"
    finish(cell)
    assert look(cell, SILENT).state is State.DONE


def test_an_attempt_of_another_job_with_the_same_id_is_no_attempt_of_this_one(cell: Cell) -> None:
    """Ids come round again, and other clusters have the same ones."""
    claim(cell, job="57").end("interrupted")
    submitted(cell, "57", 5.0, after=1)
    assert look(cell, SILENT).state is State.QUEUED
    entry = look(cell, EndedJob("57", "FAILED", code=1))
    assert (entry.state, entry.cause) == (State.FAILED, Death.EXCEPTION), "it failed before its cell began"


def test_a_job_whose_attempt_is_over_says_so(cell: Cell) -> None:
    """One rank of it was stopped, say: it holds the job, and nothing of the cell goes on."""
    submitted(cell, "57", 1.0)
    claim(cell, job="57").end("lost", error="another rank died without a word")
    entry = look(cell, HeldJob("57", "RUNNING"))
    assert entry.detail == "job 57 starting; attempt 1 in it is over (another rank died without a word)"
    assert entry.state is State.QUEUED
    assert "(vanished: another rank died without a word)" in look(cell, EndedJob("57", "FAILED")).detail


def test_a_stuck_attempt_says_nothing_of_the_job_after_it(cell: Cell) -> None:
    submitted(cell, "10", 1.0)
    claim(cell, job="10").end("lost", why=str(Death.STUCK), error="rank 1 made no progress")
    of_its_own = look(cell, EndedJob("10", "FAILED", 0, 9))
    assert (of_its_own.state, of_its_own.cause) == (State.RESUMABLE, Death.STUCK)
    submitted(cell, "11", 2.0, after=1)
    cancelled = look(cell, EndedJob("11", "CANCELLED"))
    assert (cancelled.state, cancelled.cause) == (State.CANCELLED, Death.CANCELLED), "it does not go out again"
    assert look(cell, EndedJob("11", "OUT_OF_MEMORY")).cause is Death.MEMORY


def test_a_process_that_is_there_and_whose_heart_does_not_beat_is_silent(cell: Cell) -> None:
    claim(cell)
    assert look(cell).silent is None
    long_ago = time.time() - 1000
    os.utime(cell.folder.attempt_file(1), (long_ago, long_ago))
    entry = look(cell)
    assert (entry.state, entry.silent) == (State.RUNNING, pytest.approx(long_ago, abs=1))
    assert "silent since " in entry.detail


def elsewhere(cell: Cell, quiet: float, **fields: Any) -> None:
    """The last attempt is on another host, and its heartbeat was seen so many seconds ago."""
    change_attempt(cell, place="another host", host="n7", **fields)
    beat = time.time() - quiet
    os.utime(cell.folder.attempt_file(1), (beat, beat))


@pytest.mark.parametrize("quiet", [0, 780])
def test_a_job_that_slurm_suspended_says_so_and_is_never_taken_for_lost(cell: Cell, quiet: float) -> None:
    submitted(cell, "57", 1.0)
    suspended = HeldJob("57", "SUSPENDED", node="n7")
    assert look(cell, suspended).detail == "job 57 suspended by Slurm on n7", "before its cell began"
    claim(cell, job="57")
    elsewhere(cell, quiet)
    entry = look(cell, suspended)
    assert (entry.state, to_run(entry, "all"), entry.held) == (State.RUNNING, False, suspended)
    assert entry.detail.startswith("on n7, job 57; suspended by Slurm")
    assert ("silent since" in entry.detail) == bool(quiet)
    if not quiet:
        entry = look(cell, HeldJob("57", "RUNNING"))
        assert (entry.detail, entry.held) == ("on n7, job 57", None), "it goes on"


def test_a_frozen_node_is_silent_and_not_starting(cell: Cell) -> None:
    submitted(cell, "57", 1.0)
    claim(cell, job="57", restart=1)
    elsewhere(cell, 780)
    beat = pytest.approx(time.time() - 780, abs=60)
    entry = look(cell, HeldJob("57", "RUNNING", node="n7", restarts=1))
    assert (entry.state, entry.silent, to_run(entry, "all")) == (State.RUNNING, beat, False)
    assert re.fullmatch(r"on n7, job 57; silent since .+ \(1[3-9] min\)", entry.detail)
    starting = look(cell, HeldJob("57", "RUNNING", node="n8", restarts=2))
    assert (starting.state, starting.detail) == (State.QUEUED, "job 57 starting on n8"), "it was requeued since"
    for nobody in (SILENT, None):
        unheard = look(cell, nobody)
        assert (unheard.state, unheard.silent, to_run(unheard, "all")) == (State.UNKNOWN, beat, False)
        assert "on n7, job 57; silent since " in unheard.detail
    elsewhere(cell, 3 * 86400)
    assert look(cell, HeldJob("57", "RUNNING")).detail.endswith("(3 days)")


def test_what_is_known_to_be_over_is_not_called_silent(cell: Cell) -> None:
    submitted(cell, "57", 1.0)
    claim(cell, job="57")
    dead(cell)  # on this host, whose processes can be seen
    assert look(cell, HeldJob("57", "RUNNING")).detail == "job 57 starting"
    elsewhere(cell, 780, ended="interrupted")
    entry = look(cell, HeldJob("57", "RUNNING"))
    assert (entry.silent, entry.detail) == (None, "job 57 starting; attempt 1 in it is over (interrupted)")
    assert look(cell, SILENT).silent is None
