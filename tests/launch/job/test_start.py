"""How a job ends that was stopped by its time limit, on a Slurm that the test plays."""

from __future__ import annotations

import signal

import pytest

from launch.job import start
from launch.job.signals import Signals
from tests.helpers.fake_slurm import FakeSlurm


@pytest.fixture(autouse=True)
def job_57(fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(start, "LEAVE_SECONDS", 0.0)
    monkeypatch.setattr(start, "KINDS", ())


@pytest.fixture
def near_its_limit() -> Signals:
    made = Signals(in_slurm=True)
    made.came.add(signal.SIGUSR2)
    return made


def test_a_moment_of_silence_costs_no_place_in_the_queue(
    near_its_limit: Signals, fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_slurm.add("57", state="RUNNING")
    fake_slurm.switch(failing={"scontrol": 2})
    start._requeue(near_its_limit, "57")
    assert capsys.readouterr().out == "requeued.\n"
    assert fake_slurm.jobs()["57"]["state"] == "PENDING"


def test_what_is_not_requeued_is_said(
    near_its_limit: Signals,
    fake_slurm: FakeSlurm,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_slurm.add("57", state="RUNNING")
    fake_slurm.switch(broken={"scontrol": "Requested operation is presently disabled for job 57"})
    start._requeue(near_its_limit, "57")
    said = "not requeued (Requested operation is presently disabled for job 57); the next multirun sends it again.\n"
    assert capsys.readouterr().out == said
    assert len(fake_slurm.calls("scontrol")) == 1, "that is an answer"
    monkeypatch.setattr(start, "REQUEUE_SECONDS", 0.5)
    fake_slurm.switch(broken={"scontrol": "scontrol: error: Unable to contact slurm controller"})
    start._requeue(near_its_limit, "57")
    assert "not requeued (scontrol: error: Unable to contact slurm controller);" in capsys.readouterr().out
    assert len(fake_slurm.calls("scontrol")) > 2
