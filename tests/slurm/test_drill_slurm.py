"""`gta drill --slurm` on a real Slurm: scontrol requeue at named places of a job of two ranks; no bit is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.certificate import certificates
from tests.helpers.program import Run
from tests.helpers.slurm import RANKS, SITE, Slurm, until

pytestmark = pytest.mark.slurm


def test_a_drill_by_requeues(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    words = ["drill", *small, *RANKS, *SITE[1:], "method=gta", "--slurm"]
    before = set(slurm.jobs())  # of other tests
    said = gta(*words, **slurm.environment)
    assert said.returncode == 0, said.stdout + said.stderr
    (found,) = certificates(tmp_path / "results/none")
    assert (found.where, found.ranks, found.identical) == ("slurm", 2, True)
    assert [(one.point.split(",")[0], one.resumed) for one in found.interruptions] == [
        ("scontrol requeue after step 3", 3),  # Slurm's SIGTERM comes first, and it saves
        ("scontrol requeue inside the evaluation of iteration 4", 3),
        ("scontrol requeue inside the save of the checkpoint of iteration 4", 3),
        ("scontrol requeue inside step 6", 4),
    ]
    assert "run        on Slurm, 2 ranks" in said.stdout

    def states() -> list[str]:
        return [state for job, state in slurm.jobs().items() if job not in before]

    until(lambda: not {"RUNNING", "COMPLETING"} & set(states()))
    assert states() == ["COMPLETED"] * 2, "each run is one job, which is put back"
    assert not (tmp_path / "runs/cells").exists()
