"""How often Slurm is asked, counted by the calls of its stand-ins; the clock is the test's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from gta.cell import Cell
from launch.slurm.answers import SharedAnswers
from launch.slurm.patience import LONG, SHORT, PatientLook
from launch.state.jobs import HeldJob, Unknown
from launch.state.ledger import State
from tests.helpers.cells import claim, of_seeds, submitted
from tests.helpers.fake_slurm import FakeSlurm

POLL = 5.0
QUIET = 1200.0


class Clock:
    """Time that the test makes pass."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    made = of_seeds(4, tmp_path)
    for index, cell in enumerate(made):
        submitted(cell, f"57_{index}")
    return made


def asked(fake_slurm: FakeSlurm) -> int:
    return len(fake_slurm.calls("squeue"))


def test_twenty_minutes_in_which_nothing_happens(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path, clock: Clock
) -> None:
    fake_slurm.add("57_0", "57_1", "57_2", "57_3")
    first, second = (PatientLook(tmp_path, clock) for _ in range(2))  # two sweeps of one user
    for _ in range(int(QUIET / POLL)):
        assert {entry.state for entry in first(cells[:2])} == {State.QUEUED}
        assert {entry.state for entry in second(cells[2:])} == {State.QUEUED}
        clock.now += POLL
    assert asked(fake_slurm) <= 15 + QUIET / LONG, "of 480 looks of both"
    assert fake_slurm.calls("scontrol") == [["show", "config"]], "no ping; the cluster's name once"
    assert fake_slurm.calls("sacct") == []


def test_what_changes_in_a_folder_is_asked_about_at_once(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path, clock: Clock
) -> None:
    fake_slurm.add("57_0", "57_1", "57_2", "57_3")
    look = PatientLook(tmp_path, clock)
    for _ in range(100):
        look(cells)
        clock.now += POLL
    before = asked(fake_slurm)
    look(cells)
    look(cells)
    assert asked(fake_slurm) <= before + 1, "it is patient by now"
    before = asked(fake_slurm)
    clock.now += POLL
    fake_slurm.set("57_0", state="RUNNING", node="n1")
    claim(cells[0], job="57_0")
    assert look(cells)[0].state is State.RUNNING
    assert asked(fake_slurm) == before + 1, "at once"
    clock.now += SHORT
    look(cells)
    assert asked(fake_slurm) == before + 2, "and soon again"


def test_no_old_answer_serves_where_jobs_were_sent_since(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path, clock: Clock
) -> None:
    fake_slurm.add("57_0", "57_1", "57_2", "57_3")
    look = PatientLook(tmp_path, clock)
    look(cells)
    fake_slurm.add("58")
    submitted(cells[0], "58")  # by another launcher, which forgets what was answered before
    SharedAnswers(tmp_path, clock).forget()
    assert look(cells)[0].state is State.QUEUED
    fake_slurm.add("59")
    submitted(cells[0], "59")
    assert look(cells, now=True)[0].state is State.QUEUED


def test_silence_is_shared_too_and_a_broken_file_is_no_answer(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.slurm.commands.PAUSE_SECONDS", 0.0)
    fake_slurm.add("57_0")
    answers = SharedAnswers(tmp_path, clock)
    answers.patience = SHORT
    assert answers.remembered() == {"57_0": HeldJob("57_0", "PENDING", "Priority", "", "gta", 0)}
    clock.now += SHORT
    fake_slurm.switch(broken={"squeue": "slurm_load_jobs error: Unable to contact slurm controller"})
    silent = answers.remembered()
    assert isinstance(silent, Unknown)
    before = asked(fake_slurm)
    other = SharedAnswers(tmp_path, clock)
    other.patience = SHORT
    assert other.remembered() == silent
    assert asked(fake_slurm) == before
    fake_slurm.switch(broken={})
    (file,) = tmp_path.glob(".queue.*.json")
    file.write_text("{")
    assert not isinstance(other.remembered(), Unknown)


def test_where_nothing_can_be_shared_one_is_patient_alone(fake_slurm: FakeSlurm, tmp_path: Path, clock: Clock) -> None:
    answers = SharedAnswers(tmp_path / "absent", clock)
    answers.patience = SHORT
    assert answers.remembered() == answers.remembered() == {}
    assert asked(fake_slurm) == 1
    answers.forget()
    answers.remembered()
    clock.now += SHORT
    answers.remembered()
    assert asked(fake_slurm) == 3
    assert not list(tmp_path.glob("absent"))


@pytest.mark.parametrize("broken", ["lock", "json", "held"])
def test_an_answer_that_cannot_be_shared_is_asked_for_alone(
    fake_slurm: FakeSlurm, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """The disk is full (here: a folder is in the file's place), or somebody holds the lock and does not go on."""
    monkeypatch.setattr("launch.slurm.answers.LOCK_SECONDS", 0.1)
    fake_slurm.add("57")
    place = tmp_path / f".queue.test.{os.getuid()}"
    held = FileLock(place.with_suffix(".lock"))
    if broken == "held":
        held.acquire()
    else:
        place.with_suffix(f".{broken}").mkdir()
    answers = SharedAnswers(tmp_path, clock)
    answers.patience = SHORT
    for _ in range(2):
        assert answers.remembered() == {"57": HeldJob("57", "PENDING", "Priority", "", "gta", 0)}
    assert asked(fake_slurm) == 1, "patient all the same"
    answers.forget()
    answers.remembered()
    assert asked(fake_slurm) == 2
    held.release()


def test_how_a_job_ended_is_asked_once(fake_slurm: FakeSlurm, tmp_path: Path, clock: Clock) -> None:
    fake_slurm.add("57", state="TIMEOUT")
    fake_slurm.add("58", state="RUNNING")  # the accounting is late
    answers = SharedAnswers(tmp_path, clock)
    for _ in range(3):
        found = answers.accounted({"57", "58", "59"})
        assert not isinstance(found, Unknown)
        assert {job: one.state for job, one in found.items()} == {"57": "TIMEOUT", "58": "RUNNING"}
    assert len(fake_slurm.calls("sacct")) == 1
    answers.remembered()
    answers.accounted({"57", "58", "59"})
    assert [call[-2] for call in fake_slurm.calls("sacct")][-1] == "--jobs=58,59", "what is open, with a new answer"
