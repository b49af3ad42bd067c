"""`gta hold` and `gta release`: what waits in Slurm, job by job; nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cli.main import main
from tests.helpers.cells import config, finish, split, submitted
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm


@pytest.fixture
def cells(tmp_path: Path, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Four cells, submitted to Slurm as tasks of job 57: one waits for long, one runs, one waits, one is done."""
    monkeypatch.chdir(tmp_path)
    made = []
    for seed in range(4):
        cell = Cell.of(changed(config(), {"seed": seed, "paths.runs": str(tmp_path / "runs")}), split())
        cell.write()
        submitted(cell, f"57_{seed}", name="gta")
        made.append(cell)
    fake_slurm.add(*(f"57_{seed}" for seed in range(4)))
    fake_slurm.set("57_1", state="RUNNING", node="n1")
    finish(made[3])
    fake_slurm.set("57_3", state="COMPLETED")
    return made


def reasons(slurm: FakeSlurm) -> list[str]:
    return [job["reason"] for job in slurm.jobs().values()]


def test_cells_that_wait_are_held_and_let_go(
    cells: list[Cell], fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [cell.signature[:8] for cell in cells]
    assert main(["hold", *names[:2], names[3]]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["held", "it is running and waits no more", "done already"]
    assert reasons(fake_slurm)[:3] == ["JobHeldUser", "Priority", "Priority"], "the others are as they were"
    assert main(["release", names[0]]) == 0
    assert "released" in capsys.readouterr().out
    assert reasons(fake_slurm)[0] == "Priority"


def test_a_priority_is_slurms_own_and_of_what_waits_alone(
    cells: list[Cell], fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["release", "paths.runs=runs", "--method", "gta", "--priority", "1000"]) == 0
    jobs = fake_slurm.jobs()
    assert [jobs[f"57_{seed}"].get("updated") for seed in range(4)] == [
        {"Priority": "1000"}, None, {"Priority": "1000"}, None,
    ]  # fmt: skip
    assert "57_3" not in capsys.readouterr().out, "of a pattern, only what waits or runs is told of"
    for wrong in ("0", "-1", "first"):
        assert main(["release", cells[0].signature[:8], f"--priority={wrong}"]) == 2
    assert "give Slurm's priority" in capsys.readouterr().err


def test_what_slurm_refuses_and_silence_are_said(
    cells: list[Cell], fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    name = cells[0].signature[:8]
    fake_slurm.set("57_0", reason="JobHeldAdmin")
    assert main(["release", name]) == 1
    assert "Slurm refuses that (Access/permission denied)" in capsys.readouterr().out
    fake_slurm.set("57_2", name="another user's job of that id")
    assert main(["hold", cells[2].signature[:8]]) == 0
    assert reasons(fake_slurm)[2] == "Priority", "an id that is another job's by now is left alone"
    fake_slurm.switch(up=False)
    assert main(["hold", name]) == 1
    assert "Unable to contact" in capsys.readouterr().out
    assert main(["hold"]) == 2
    assert "hold takes cells or a grid" in capsys.readouterr().err
