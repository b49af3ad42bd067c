"""multirun --after: jobs that wait for others by Slurm's dependency, and what is refused as it would never run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.errors import UserError
from launch.state.jobs import Silent
from launch.submit.after import after
from launch.submit.selection import Selection
from launch.submit.slurm_array import SlurmCluster
from launch.submit.watch import Watch
from tests.helpers.cells import claim, failed, finish, of_seeds, submitted
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.program import Run

PARAMS: dict[str, Any] = {
    "submitit_folder": "jobs/%j", "name": "gta-toy", "timeout_min": 10, "array_parallelism": 256, "nodes": 1,
    "additional_parameters": {"dependency": "singleton"},
}  # fmt: skip


@pytest.fixture
def cells(tmp_path: Path, fake_slurm: FakeSlurm) -> list[Cell]:
    """Five cells: the first is done, the second and third wait in Slurm, two were never sent."""
    made = of_seeds(5, tmp_path / "runs")
    for seed, cell in enumerate(made[:3]):
        cell.write()
        submitted(cell, f"40_{seed}", name="gta")
        fake_slurm.add(f"40_{seed}")
    finish(made[0])
    fake_slurm.set("40_0", state="COMPLETED")
    return made


def names(cells: list[Cell]) -> list[str]:
    return [cell.signature for cell in cells]


def turn(cells: list[Cell], tmp_path: Path, *before: Cell) -> None:
    """What a launcher of the last two cells sends."""
    told = after(names(list(before)), cells)
    sweep = tmp_path / "runs/sweeps/toy"
    Watch(cells[3:], SlurmCluster(lambda site: PARAMS, sweep, lambda: None, after=told), Selection()).turn()


def test_jobs_wait_for_those_that_are_not_done_besides_what_the_site_asks_for(
    cells: list[Cell], tmp_path: Path, fake_slurm: FakeSlurm
) -> None:
    turn(cells, tmp_path, *cells[:3])
    (script,) = fake_slurm.scripts().values()
    assert re.search(r"^#SBATCH --dependency=['\"]?singleton,afterok:40_1:40_2['\"]?$", script, re.MULTILINE), script


def test_what_is_done_is_not_waited_for(cells: list[Cell], tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    turn(cells, tmp_path, cells[0])
    (script,) = fake_slurm.scripts().values()
    assert "afterok" not in script


def test_what_would_never_run_is_refused(cells: list[Cell], tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    def refused(*before: Cell) -> str:
        with pytest.raises(UserError) as caught:
            turn(cells, tmp_path, *before)
        return str(caught.value)

    never = "what comes after it would never run"
    assert "it would wait for itself" in refused(cells[3])
    fake_slurm.set("40_2", reason="JobHeldUser")
    assert f"{never}, as its job 40_2 is held" in refused(cells[1], cells[2])
    fake_slurm.set("40_2", reason="None", state="RUNNING", node="n1")
    claim(cells[2], after=0, job="40_2").end("failed")
    failed(cells[2])
    assert f"{never}, as it is not done and its job 40_2 is over or fails" in refused(cells[2])
    fake_slurm.set("40_1", state="FAILED", exit="1:0")
    assert f"{never}, as it is not done and its job 40_1 is over or fails: run it first" in refused(cells[1])
    with pytest.raises(UserError, match="neither done nor sent to Slurm: run it first"):
        after(names(cells[4:]), cells)(names(cells[3:4]))
    assert not fake_slurm.scripts(), "nothing was sent"


def test_a_name_of_no_cell_is_refused_before_anything_is_made(
    say: Run, small: list[str], tmp_path: Path, fake_slurm: FakeSlurm
) -> None:
    words = ["sweep=shapes", "method=supervised", "seed=0", *small, "hydra/launcher=slurm", "--no-wait"]
    said = say("multirun", *words, "--after", "supervised/1_5/seed7")
    assert (said.returncode, "1 never run" in said.stdout) == (2, False), "nothing is said as if it would run"
    assert "error: supervised/1_5/seed7: there is no such cell" in said.stderr
    made = [path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert made == ["multirun.yaml"], "Hydra's own, before it calls a launcher"
    assert not fake_slurm.calls("sbatch")


def test_cells_that_are_made_later_do_not_join_those_of_a_pattern(
    cells: list[Cell], tmp_path: Path, fake_slurm: FakeSlurm
) -> None:
    told = after(["gta*"], cells[1:2])
    late = of_seeds(6, tmp_path / "runs")[5]
    late.write()
    submitted(late, "41", name="gta")
    fake_slurm.add("41")
    assert told(names(cells[3:])) == "afterok:40_1:40_2"


def test_silence_is_waited_for(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.switch(up=False)
    with pytest.raises(Silent):
        after(names(cells[1:2]), cells)(names(cells[3:]))
    assert after(names(cells[:1]), cells)(names(cells[3:])) == "", "of what is done nobody has to be asked"
