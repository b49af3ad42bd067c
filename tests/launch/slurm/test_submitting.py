"""sbatch's answers are read by their kind: sent, later, refused, or nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.slurm import submitting
from launch.slurm.submitting import Doubt, Later, Refused, Sent, refusal

POLICY = (
    "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
)


@pytest.mark.parametrize(
    "name",
    [
        "AssocMaxSubmitJobLimit", "AssocGrpSubmitJobsLimit", "QOSMaxSubmitJobPerUserLimit", "QOSGrpSubmitJobsLimit",
        "MaxSubmitJobsPerAccount",
    ],
)  # fmt: skip
def test_limits_of_how_many_jobs_there_may_be_mean_later(name: str) -> None:
    assert refusal(f"sbatch: error: {name}\nsbatch: error: {POLICY}\n") == Later(name)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", Later),
        (f"sbatch: error: {POLICY}", Later),
        (f"sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: {POLICY}", Refused),
        (f"sbatch: error: AssocGrpCPUMinutesLimit\nsbatch: error: {POLICY}", Refused),
        ("sbatch: error: Batch job submission failed: Invalid qos specification", Refused),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", Doubt),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", Doubt),
    ],
)
def test_other_words(said: str, kind: type) -> None:
    assert isinstance(refusal(said), kind)


def test_the_number_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sbatch"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def answer(lines: str) -> submitting.Answer:
        program.write_text(f"#!/bin/sh\ntest $1 = --parsable || exit 1\n{lines}\n")
        program.chmod(0o755)
        return submitting.send(tmp_path / "script.sh")

    assert answer("echo 'Welcome. Report trouble with job 4711 to us.'; echo 57") == Sent("57")
    assert answer("echo '57;tundra'") == Sent("57", "tundra")
    assert isinstance(answer("echo 'quota: 12 of 40'"), Doubt)
    assert answer("echo 'sbatch: error: Invalid partition' >&2; exit 1") == Refused("Invalid partition")
    monkeypatch.setattr(submitting, "SBATCH_SECONDS", 0.3)
    busy = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"
    assert answer(f"echo '{busy}' >&2; exec sleep 60") == Doubt(busy.removeprefix("sbatch: error: "), full=True)
