"""The commands while Slurm does not answer: they say so, send nothing, and call nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launch.slurm import commands as slurm
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.program import Run

NO_ANSWER = "Slurm does not answer (squeue: error: Unable to contact slurm controller (connect failure))"


@pytest.mark.slow
def test_a_day_without_a_controller(
    say: Run, small: list[str], tmp_path: Path, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "PAUSE_SECONDS", 0.0)
    grid = ["sweep=shapes", "method=supervised", "seed=0,1", *small]
    launch = ["multirun", *grid, "hydra/launcher=slurm", "--no-wait"]
    refused = say(*launch, "site.sbatch={clusters: other}")
    assert refused.returncode == 2
    assert "site.sbatch.clusters: cells are watched where they were sent from" in refused.stderr

    fake_slurm.switch(up=False)
    early = say(*launch)
    assert early.returncode == 2, early.stdout + early.stderr
    assert "Slurm does not answer" in early.stderr
    assert "nothing more was submitted; try again later" in early.stderr
    fake_slurm.switch(up=True)
    assert say(*launch).returncode == 0
    assert len(fake_slurm.jobs()) == 2

    fake_slurm.switch(up=False)
    shown = say("status", *grid)
    assert shown.returncode == 0
    assert "2 cells: 2 queued" in shown.stdout
    assert f"{NO_ANSWER}; state as of the cells' folders" in shown.stdout
    assert json.loads(say("status", *grid, "--json").stdout)["silence"] == NO_ANSWER
    later(tmp_path / "runs")
    again = say(*launch)
    assert again.returncode == 2
    assert NO_ANSWER in again.stderr
    retried = say("retry", *grid, "hydra/launcher=slurm")
    assert retried.returncode == 2, "what failed may be hidden"
    assert f"{NO_ANSWER}: nothing more was submitted; try again later." in retried.stderr
    ended = say("cancel", "supervised/1_5/seed0", *grid)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{NO_ANSWER}; told by its folder: it leaves at its next step, or when it starts" in ended.stdout
    fake_slurm.switch(up=True)
    later(tmp_path / "runs")
    assert say(*launch).returncode == 1, "one is cancelled"
    assert len(fake_slurm.jobs()) == 2, "each was submitted once"


def later(runs: Path) -> None:
    """So much later that a launcher asks anew: an answer of Slurm's serves all launchers for some seconds."""
    for answer in runs.glob(".queue.*.json"):
        answer.unlink()
