"""`gta multirun` on this machine, for real: nothing lost, nothing run twice, the same numbers."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.notified import script, told
from tests.helpers.program import SMALL_SHAPES, Run
from tests.helpers.slurm import until

# long enough to be interrupted after a checkpoint, and quick all the same: few evaluations and saves
LONGER = (
    "schedule.iterations=60",
    "schedule.eval_every=30",
    "schedule.checkpoint_every=20",
    "model.width=4",
    "model.decoder_channels=8",
)


def results(runs: Path) -> dict[str, Any]:
    """Signature -> what a reader of the table sees."""
    found = {path.parent.name: json.loads(path.read_text()) for path in runs.glob("cells/*/result.json")}
    return {name: (result["networks"], result["iteration"]) for name, result in found.items()}


@pytest.fixture
def stored(empty_store: Path, tmp_path: Path) -> None:
    """A store that is there already: making it takes MLflow longer than a cell takes to train."""
    (tmp_path / "runs").mkdir()
    shutil.copy(empty_store, tmp_path / "runs/mlflow.db")


def attempts(runs: Path) -> dict[str, int]:
    return {path.name: len(list(path.glob("attempts/*.json"))) for path in runs.glob("cells/*")}


def wait_for(condition, seconds: float = 120) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_grid_runs_once_and_prints_its_table(gta: Run, say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["multirun", "sweep=shapes", "method=supervised,gta", "seed=0", *small]
    first = gta(*words)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "2 cells: 2 done" in first.stdout
    assert "1/5 (8)" in first.stdout
    for name in ("table.md", "table.tex", "table.csv"):
        assert list(tmp_path.glob(f"results/shapes/variants/*/{name}")), "small pictures: not the sweep as declared"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/cells/*/*") if path.is_file()}
    again = say(*words)
    assert again.returncode == 0
    assert again.stdout.split("\nmethod ")[1:] == first.stdout.split("\nmethod ")[-1:], "the same table"
    assert set(attempts(tmp_path / "runs").values()) == {1}
    unchanged = {path: path.stat().st_mtime_ns for path in before}
    assert unchanged == before, "nothing of a finished cell is touched"

    planned = say("plan", *words[1:], "seed=0,1")
    assert "4 cells: 2 done, 2 never run; multirun would run 2" in planned.stdout
    table = say("table", *words[1:], "seed=0,1")
    assert table.returncode == 0
    assert "never run" in table.stdout, "a missing cell is named with its reason"


@pytest.mark.slow
@pytest.mark.usefixtures("stored")
def test_kill_9_of_launcher_and_cells_loses_nothing(say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["multirun", "sweep=shapes", "method=mean_teacher,gta", "seed=0", *small, *LONGER]
    for method in ("mean_teacher", "gta"):
        alone = ["train", f"method={method}", "seed=0", *small, *LONGER, f"paths.runs={tmp_path / 'other'}"]
        assert say(*alone).returncode == 0

    command = [sys.executable, "-m", "gta", *words]
    launcher = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: list(tmp_path.glob("runs/cells/*/checkpoint.pt")))
    os.killpg(launcher.pid, signal.SIGKILL)  # the launcher, submitit's controllers and the cells
    launcher.wait()
    time.sleep(0.2)
    assert len(results(tmp_path / "runs")) < 2, "it was killed too late to show anything"

    resumed = say(*words)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert results(tmp_path / "runs") == results(tmp_path / "other"), "bit for bit the undisturbed numbers"
    assert max(attempts(tmp_path / "runs").values()) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("stored")
def test_a_cell_that_is_killed_goes_on(small: list[str], tmp_path: Path) -> None:
    words = ["multirun", "sweep=shapes", "method=gta", "seed=0", *small, *LONGER]
    launcher = subprocess.Popen([sys.executable, "-m", "gta", *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: list(tmp_path.glob("runs/cells/*/checkpoint.pt")))
    (owner,) = tmp_path.glob("runs/cells/*/attempts/0001.json")
    os.kill(json.loads(owner.read_text())["pid"], signal.SIGKILL)
    said, _ = launcher.communicate(timeout=900)
    assert launcher.returncode == 0, said
    assert set(attempts(tmp_path / "runs").values()) == {2}


@pytest.mark.slow
@pytest.mark.usefixtures("stored")
def test_a_launcher_that_dies_alone_leaves_its_cells_to_the_next(say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["multirun", "sweep=shapes", "method=gta", "seed=0", *small, *LONGER]
    words.append(f"site.notify={script(tmp_path)!r}")
    launcher = subprocess.Popen([sys.executable, "-m", "gta", *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(tmp_path.glob("runs/cells/*/checkpoint.pt")))
    launcher.kill()
    launcher.wait()
    second = say(*words)
    assert second.returncode == 0, second.stdout + second.stderr
    assert set(attempts(tmp_path / "runs").values()) == {1}, "the living cell was watched, not run again"
    until(lambda: told(tmp_path))
    assert [fact["event"] for fact in told(tmp_path)] == ["end"], "by the cell's job or the second launcher"


@pytest.mark.slow
def test_two_launchers_at_once_run_each_cell_once(small: list[str], tmp_path: Path) -> None:
    words = ["multirun", "sweep=shapes", "method=supervised,gta", "seed=0", *small]
    command = [sys.executable, "-m", "gta", *words]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=900)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert attempts(tmp_path / "runs") == dict.fromkeys(results(tmp_path / "runs"), 1)
    assert len(results(tmp_path / "runs")) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("stored")
def test_a_failing_cell_stops_no_other(say: Run, small: list[str], generated: Path, tmp_path: Path) -> None:
    data = tmp_path / "broken"
    shutil.copytree(generated / "shapes", data / "shapes")
    words = ["multirun", "sweep=shapes", "method=supervised", "seed=0", "data.split=1/5,1/2", *small[:-1]]
    words += [f"paths.data={data}", f"site.notify={script(tmp_path)!r}"]
    assert say("splits", "make", "data=shapes", "--ratios", "1/5,1/2", *small[:-1], *SMALL_SHAPES).returncode == 0
    lists = tmp_path / "splits/shapes/seed0"
    only_in_half = set((lists / "1_2/labeled.txt").read_text().split()) - set(
        (lists / "1_5/labeled.txt").read_text().split()
    )
    broken = {name: (data / f"shapes/JPEGImages/{name}.jpg") for name in only_in_half}
    whole = {name: path.read_bytes() for name, path in broken.items()}
    for name, path in broken.items():
        path.write_bytes(whole[name][:200])

    first = say(*words)
    assert first.returncode == 1
    assert "1 done, 1 failed" in first.stdout
    assert "Traceback" not in first.stdout, "a user error of a cell is a sentence too"
    assert any(name in first.stdout for name in only_in_half), "it names the image"
    assert "--retry failed" in first.stdout

    assert say(*words).returncode == 1
    assert sorted(attempts(tmp_path / "runs").values()) == [1, 1], "a failed cell runs again only when asked"
    until(lambda: len(told(tmp_path)) >= 2)
    heard = {fact["event"]: fact for fact in told(tmp_path)}
    assert any(name in heard["failure"]["title"] for name in only_in_half)
    assert "is over: 1 of 2 cells done, 1 failed" in heard["end"]["title"]
    for name, path in broken.items():
        path.write_bytes(whole[name])
    mended = say(*words, "--retry", "failed")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert sorted(attempts(tmp_path / "runs").values()) == [1, 2]
    until(lambda: len(told(tmp_path)) >= 3)
    assert sorted(fact["event"] for fact in told(tmp_path)) == ["end", "end", "failure"], "the launchers', each once"


@pytest.mark.slow
@pytest.mark.usefixtures("stored")
def test_ctrl_c_saves_and_leaves(say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["multirun", "sweep=shapes", "method=gta", "seed=0", *small, "schedule.iterations=400", "--retry", "failed"]
    words.append("schedule.checkpoint_every=1000")  # what is saved was saved because of the signal
    words.append(f"paths.results={tmp_path}/with blanks")
    command = [sys.executable, "-m", "gta", *words]
    launcher = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any("metrics" in path.read_text() for path in tmp_path.glob("runs/cells/*/journal.jsonl")))
    launcher.send_signal(signal.SIGINT)
    _, said = launcher.communicate(timeout=900)
    assert launcher.returncode == 130
    advised = said.rpartition("go on with\n")[2].strip()
    assert shlex.split(advised) == ["gta", *words], "what was typed, as a shell takes it"
    assert list(tmp_path.glob("runs/cells/*/checkpoint.pt"))
    status = say("status", "sweep=shapes", "method=gta", "seed=0", *small, *words[-2:], "schedule.iterations=400")
    assert "1 stopped" in status.stdout


@pytest.mark.slow
def test_masks_that_lack_a_class_are_refused_before_anything_is_submitted(
    say: Run, small: list[str], generated: Path, tmp_path: Path
) -> None:
    data = tmp_path / "bare"
    shutil.copytree(generated / "shapes", data / "shapes")
    for path in (data / "shapes/SegmentationClass").glob("val_*.png"):
        Image.new("L", (48, 48)).save(path)
    words = ["multirun", "sweep=shapes", "method=supervised", "seed=0", *small, f"paths.data={data}"]
    answer = say(*words)
    assert answer.returncode == 2
    assert "The 6 validation masks show no pixel of 4 classes: 1 (red)" in answer.stderr
    assert not list((tmp_path / "runs/cells").rglob("journal*"))
