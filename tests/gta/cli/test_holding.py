"""`gta hold` and `gta release`: what waits in Slurm, job by job; nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cli.main import main
from launch.slurm import commands, holding
from launch.state.jobs import Unknown
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


def answers(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is said of each job."""
    return [line.partition(": job ")[2].partition(": ")[2] for line in capsys.readouterr().out.splitlines()]


def test_a_priority_of_who_is_no_operator_is_set_and_may_be_for_now(
    cells: list[Cell], fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_slurm.switch(operator=False)
    fake_slurm.set("57_0", reason="JobHeldUser")
    assert main(["release", *(cells[seed].signature for seed in (0, 2)), "--priority", "1"]) == 0
    said = answers(capsys)
    assert all(line.startswith("priority 1 for now: Slurm may work it out anew (Changes to") for line in said), said
    assert reasons(fake_slurm)[0] == "Priority", "what is held is released first"
    assert [fake_slurm.jobs()[f"57_{seed}"]["updated"] for seed in (0, 2)] == [{"Priority": "1"}] * 2


def test_many_cells_are_one_question_and_each_has_its_own_answer(
    cells: list[Cell], fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [cells[seed].signature for seed in (0, 2)]
    assert main(["hold", *names]) == 0
    assert fake_slurm.calls("scontrol")[-1] == ["uhold", "57_0,57_2"]
    assert len(fake_slurm.calls("squeue")) == 1
    assert answers(capsys) == ["held", "held"]
    fake_slurm.set("57_2", reason="Priority")
    assert main(["release", *names]) == 0
    assert answers(capsys) == ["released", "was not held: others come first (Priority)"]
    fake_slurm.set("57_0", reason="JobHeldAdmin")
    fake_slurm.set("57_2", reason="JobHeldUser")
    assert main(["release", *names]) == 1
    assert answers(capsys) == ["Slurm refuses that (Access/permission denied)", "released"]


def test_what_was_done_before_slurm_fell_silent_is_said(
    cells: list[Cell], fake_slurm: FakeSlurm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asked = commands.scontrol, []

    def once(*words: str) -> str | Unknown:
        asked.append(words)
        return ask(*words) if len(asked) == 1 else Unknown("scontrol does not answer", silent=True)

    monkeypatch.setattr(commands, "scontrol", once)
    monkeypatch.setattr(holding, "TOGETHER", 1)
    assert main(["hold", *(cells[seed].signature for seed in (0, 2))]) == 1
    assert answers(capsys) == ["held", "scontrol does not answer; try again later"]
    assert reasons(fake_slurm)[:3] == ["JobHeldUser", "Priority", "Priority"]


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
