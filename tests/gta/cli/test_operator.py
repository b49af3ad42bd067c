"""A day of an operator, on a Slurm that the test plays: submit, look, cancel, run again with more memory."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gta.cellfolder import CellFolder, Death, Failure
from launch.state.attempts import claim
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.program import Run

SLURM = ("hydra/launcher=slurm", "--no-wait")


@pytest.mark.slow
def test_from_submission_to_retry(say: Run, small: list[str], tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    grid = ["sweep=shapes", "method=supervised,gta", "seed=0,1", *small]
    submitted = say("multirun", *grid, *SLURM)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    jobs = {cell["signature"]: cell for cell in board(say, grid)["cells"]}
    assert [cell["state"] for cell in jobs.values()] == ["queued"] * 4
    assert {cell["job"] for cell in jobs.values()} == set(fake_slurm.jobs())
    assert all("(Priority)" in cell["what"] for cell in jobs.values())

    # one cell runs out of memory, one is cancelled, one runs on
    memory, cancelled, running, _ = jobs.values()
    out_of_memory(CellFolder(tmp_path / "runs/cells" / memory["signature"]), memory["job"])
    fake_slurm.set(memory["job"], state="FAILED", exit="1:0")
    fake_slurm.set(running["job"], state="RUNNING", node="n1", reason="None")
    said = say("cancel", cancelled["signature"][:6], *grid)
    assert said.returncode == 0, said.stderr
    assert f"job {cancelled['job']}: cancelled" in said.stdout
    assert fake_slurm.calls("scancel") == [[cancelled["job"]]]
    now = board(say, grid)
    assert now["counts"] == {"failed": 1, "cancelled": 1, "queued": 1, "starting": 1}
    shown = say("status", *grid).stdout
    assert "4 cells: 1 queued, 1 cancelled, 1 starting, 1 failed" in shown
    assert "1 out of memory: give it more memory" in shown

    # nothing of a cell that could change its result can be changed on the way
    refused = say("retry", *grid, "--oom", "--mem", "64", "schedule.iterations=9", *SLURM)
    assert "schedule.iterations=9 can change a result" in refused.stdout
    assert len(fake_slurm.calls("sbatch")) == 1, "nothing was submitted"

    again = say("retry", *grid, "--oom", "--mem", "64", "--time", "3h", *SLURM)
    assert again.returncode == 1, "one cell stays cancelled: " + again.stdout + again.stderr
    assert again.stdout.count("again: ") == 1
    (_, script) = fake_slurm.scripts().values()
    assert "#SBATCH --mem=64G" in script.replace("GB", "G")
    assert "#SBATCH --time=180" in script
    after = {cell["signature"]: cell for cell in board(say, grid)["cells"]}
    assert after[memory["signature"]]["state"] == "requeued"
    assert after[memory["signature"]]["job"] != memory["job"]
    assert after[cancelled["signature"]]["state"] == "cancelled"

    # and all of it ends when somebody says so, but not by accident
    careful = say("cancel", *grid)
    assert careful.returncode == 2
    assert "This would end 3 of 4 cells: say --yes" in careful.stderr
    assert say("cancel", *grid, "--yes").returncode == 0
    assert board(say, grid)["counts"] == {"cancelled": 4}
    assert {job["state"] for job in fake_slurm.jobs().values()} == {"CANCELLED", "FAILED"}


def board(say: Run, grid: list[str]) -> dict:  # type: ignore[type-arg]
    answer = say("status", *grid, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def out_of_memory(folder: CellFolder, job: str) -> None:
    """What an attempt leaves behind that met the end of the GPU's memory."""
    mine = claim(folder, job=job)
    assert mine is not None
    error = "OutOfMemoryError: CUDA out of memory"
    failure = Failure(attempt=1, error=error, time=time.time(), cause=Death.MEMORY, rank=0)
    failure.write(folder.failure_file)
    mine.end("failed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["retry"], "takes the words of multirun"),
        (["retry", "sweep=shapes", "retry=all"], "name the cells"),
        (["cancel"], "takes cells or a grid"),
        (["cancel", "gta"], "there are no cells here yet"),
        (["gc"], "takes a grid"),
        (["status", "--watch", "--json"], "leave one of them out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_get_a_sentence(say: Run, words: list[str], said: str) -> None:
    answer = say(*words)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert answer.stderr.startswith("error: ")
