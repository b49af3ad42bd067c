"""`gta debug`: one cell in the foreground, as an attempt like any other, with a debugger where one is wanted."""

from __future__ import annotations

import io
import json
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.cellfolder import CellFolder, cell_folders
from gta.train import run
from launch.job.foreground import run_here
from launch.slurm.interactive import srun_command
from launch.state import setup
from tests.helpers.cells import claim, submitted
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.program import Run

TRAIN = run.train
SCRIPT = """\
#!/bin/bash

# Parameters
#SBATCH --comment=gta
#SBATCH --constraint="a100&nvlink"
#SBATCH --gpus-per-node=2
#SBATCH --job-name=gta
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --open-mode=append
#SBATCH --output=/tmp/%j_0_log.out
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=60
"""


@pytest.fixture
def grid(small: list[str]) -> list[str]:
    return ["sweep=shapes", "method=supervised", "seed=0", *small, "schedule.checkpoint_every=1000"]


def the_cell(tmp_path: Path) -> CellFolder:
    (folder,) = cell_folders(tmp_path / "runs")
    return folder


def trained_after(monkeypatch: pytest.MonkeyPatch, first: Any) -> None:
    """Something that happens in the cell's process, before it trains."""

    def train(*arguments: Any) -> bool:
        first()
        return TRAIN(*arguments)

    monkeypatch.setattr("gta.train.run.train", train)


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_line_goes_on(
    say: Run, grid: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["debug", "supervised/1/5/seed0", *grid, "--here"]
    trained_after(monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    said = say(*words)
    assert said.returncode == 1, said.stderr
    assert "interrupted." in said.stdout
    assert the_cell(tmp_path).checkpoint_file.exists(), "saved because of the signal"
    status = json.loads(say("status", *grid, "--json").stdout)["cells"][0]
    assert (status["state"], status["attempts"]) == ("stopped", 1)
    assert "it ran in a terminal" in say("logs", "supervised/1/5/seed0").stderr

    # the debugger: `breakpoint()` in the code, left by q and by c; Ctrl-C is not its own
    monkeypatch.setattr("sys.stdin", io.StringIO("p 6 * 7\nq\n"))
    trained_after(monkeypatch, breakpoint_here)
    said = say("debug", the_cell(tmp_path).signature[:8])  # of a cell that was frozen no grid need be named
    assert said.returncode == 1
    assert "\n(Pdb) 42\n" in said.stdout
    assert "Left the debugger" in said.stdout
    assert the_cell(tmp_path).attempts()[-1].ended == "interrupted"
    monkeypatch.setattr("sys.stdin", io.StringIO("c\n"))
    said = say(*words)
    assert said.returncode == 0, said.stdout + said.stderr
    assert the_cell(tmp_path).done
    refused = say(*words)
    assert refused.returncode == 2
    assert "is done" in refused.stderr


def breakpoint_here() -> None:
    breakpoint()


@pytest.mark.slow
def test_where_it_fails_the_debugger_is_at_that_place(
    say: Run, grid: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        treasure = 4711
        raise ValueError(f"no {treasure}")

    trained_after(monkeypatch, fail)
    monkeypatch.setattr("sys.stdin", io.StringIO("p treasure + 1\nq\n"))
    words = ["debug", "supervised/1/5/seed0", *grid, "--pdb", "--here"]
    said = say(*words)
    assert said.returncode == 1
    assert "(Pdb) 4712" in said.stdout
    assert "ValueError: no 4711" in said.stderr
    told = json.loads(say("status", *grid, "--json").stdout)["cells"][0]
    assert (told["state"], told["what"]) == ("failed", "exception: ValueError: no 4711")
    assert "site:" in (text := the_cell(tmp_path).config_file.read_text())
    assert "workers: 0" in text, "a breakpoint in a data set can be reached"


def test_a_cell_that_somebody_is_at_is_left_alone(say: Run, cells: list[Cell], capsys: Any) -> None:
    claim(cells[0])
    assert not cells[0].folder.submitted_file.exists()
    submitted(cells[1], "57", time.time() + 60)
    assert run_here(cells[1].folder, post_mortem=False) == 1, "it was submitted since this was asked for"
    assert "submitted as job 57 meanwhile" in capsys.readouterr().out


@pytest.mark.slow
def test_what_waits_is_refused(say: Run, grid: list[str], fake_slurm: FakeSlurm) -> None:
    assert say("multirun", *grid, "hydra/launcher=slurm", "--no-wait").returncode == 0
    refused = say("debug", "supervised/1/5/seed0", *grid)
    assert refused.returncode == 2
    assert "is queued" in refused.stderr
    assert "gta cancel" in refused.stderr
    assert fake_slurm.calls("srun") == []
    fake_slurm.set(next(iter(fake_slurm.jobs())), state="CANCELLED")
    asked = say("debug", "supervised/1/5/seed0", *grid, "site.partition=gpu", "site.setup=[module load cuda]")
    assert asked.returncode == 1, "the stand-in runs nothing"
    (words,) = fake_slurm.calls("srun")
    assert {"--partition=gpu", "--ntasks=1", "--unbuffered", "--signal=USR2@120"} <= set(words)
    assert "\n".join([*setup.watched(["module load cuda"]), "exec "]) in words[-1]
    assert "launch.job.foreground" in words[-1]


def test_srun_is_told_what_sbatch_would_be() -> None:
    words = srun_command(SCRIPT, [], ["python", "-m", "x"], ranks=4, terminal=True)
    assert words == [
        "srun", "--job-name=gta-debug", "--ntasks=4", "--constraint=a100&nvlink", "--gpus-per-node=2", "--nodes=2",
        "--ntasks-per-node=2", "--signal=USR2@120", "--time=60", "--kill-on-bad-exit=1", "--export=ALL", "--pty",
        "python", "-m", "x",
    ]  # fmt: skip
    last = srun_command(SCRIPT, ["module load 'a b'"], ["python", "a b"], ranks=1, terminal=False)[-3:]
    assert last[:2] == ["/bin/bash", "-c"]
    assert [shlex.split(line) for line in last[2].splitlines()] == [
        ["module", "load", "a b"], ["exec", "python", "a b"]
    ]  # fmt: skip
