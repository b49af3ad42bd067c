"""Whole grids on a real Slurm: more cells than an array takes, cells on one GPU, two nodes, code that is edited."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.helpers.program import ROOT, SMALL_SCHEDULE, SMALL_SHAPES, Run
from tests.helpers.slurm import ARRAY, RANKS, SITE, Slurm, attempts, launcher, numbers, paths, submitted, until

pytestmark = pytest.mark.slurm

DEBUGGED = "supervised/1/5/seed0"

TWELVE = ("method=supervised,mean_teacher", "seed=0,1,2", "data.split=1/5,1/10")


def test_twelve_cells_of_two_tasks_one_of_which_fails(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    """One cell finds a file in its folder that is no checkpoint; without the file it runs."""
    words = ["sweep=shapes", *small, *TWELVE, *RANKS]
    board = gta("status", *words, "--json")
    assert board.returncode == 0, board.stderr
    signatures = [cell["signature"] for cell in json.loads(board.stdout)["cells"]]
    assert len(signatures) == 12
    spoilt = tmp_path / "runs/cells" / signatures[5] / "checkpoint.pt"
    spoilt.parent.mkdir(parents=True)
    spoilt.write_bytes(b"no checkpoint")
    site = [*SITE, "site.array_parallelism=5"]  # of both arrays: what two cores can bear

    first = gta("multirun", *words, *site, **slurm.environment)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "12 cells: 11 done, 1 failed" in first.stdout
    made = attempts(tmp_path / "runs")
    assert sorted(attempt.ended for attempt in made) == ["done"] * 11 + ["failed"]
    arrays = {job.partition("_")[0] for job in submitted(tmp_path / "runs")}
    assert len(arrays) == 2, f"an array takes {ARRAY - 1} cells"

    spoilt.unlink()
    again = gta("retry", *words, *site, **slurm.environment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(attempts(tmp_path / "runs")) == 13, "what was done was not run again"

    local = gta("multirun", *words, f"paths.runs={tmp_path / 'local'}")
    assert local.returncode == 0, local.stdout + local.stderr
    here, there = numbers(tmp_path / "local"), numbers(tmp_path / "runs")
    assert len(here) == 12
    assert here == there


def test_cells_that_share_a_gpu(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    """Asked for in the site's own words, which count more than the profile's fields; the later of two counts."""
    site = ["hydra/launcher=slurm", "site=slurm", "site.device=cpu", "site.cells_per_gpu=2", "site.workers=0"]
    site += ["site.sbatch.gpus-per-node=2", "site.sbatch.mem-per-gpu=100M", "site.mem_gb=1"]
    words = ["multirun", "sweep=shapes", *small, "seed=0,1,2", "method=supervised", "site.cpus_per_rank=2"]
    said = gta(*words, *site, **slurm.environment)
    assert said.returncode == 0, said.stdout + said.stderr
    made = attempts(tmp_path / "runs")
    assert [attempt.ended for attempt in made] == ["done"] * 3
    assert len({attempt.job for attempt in made}) == 2, "two in one job, and one"
    logs = [Path(attempt.log or "") for attempt in made]
    assert len(set(logs)) == 3
    assert all("iteration 8/8" in log.read_text() for log in logs)
    until(lambda: {slurm.jobs()[str(attempt.job)] for attempt in made} == {"COMPLETED"})  # a moment after its result
    shown = slurm.ask("scontrol", "show", "job", str(made[0].job))
    assert re.search(r"TresPerNode=\S*gpu:2\b", shown), shown
    assert "MinMemoryNode=1G" in shown


def test_more_cells_than_a_user_may_submit(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    """Five cells where two jobs of theirs may be held: without a launcher what fits is sent; one that watches sends the
    rest. Between, while another job has all nodes, one of the two is held and let go.
    """
    if not slurm.accounting:
        pytest.skip("limits want Slurm's accounting: slurmdbd and MariaDB")
    words = ["multirun", "sweep=shapes", *small, "method=supervised", "seed=0,1,2,3,4", *SITE, "site.ranks=1"]
    filler = ("sbatch", "--nodes=3", "--exclusive", "--time=30", "--output=/dev/null", "--wrap=sleep 900")
    with slurm.limit(MaxSubmitJobsPerUser=3):
        others = slurm.ask(*filler).split()[-1]
        until(lambda: slurm.jobs()[others] == "RUNNING")
        sent = gta(*words, "--no-wait", **slurm.environment)
        assert sent.returncode == 0, sent.stdout + sent.stderr
        assert "Slurm takes no more of the jobs now (QOSMaxSubmitJobPerUserLimit)" in sent.stdout
        assert len(submitted(tmp_path / "runs")) == 2
        hold_and_release(gta, words, slurm)
        slurm.ask("scancel", others)
        watched = gta(*words, **slurm.environment)
    assert watched.returncode == 0, watched.stdout + watched.stderr
    assert "5 cells: 5 done" in watched.stdout
    assert [attempt.ended for attempt in attempts(tmp_path / "runs")] == ["done"] * 5


def hold_and_release(gta: Run, words: list[str], slurm: Slurm) -> None:
    """The cells that wait, tasks of an array, are held together; one is let go in front, then the other."""

    def reasons(*more: str) -> list[str]:
        said = gta(*more, **slurm.environment) if more else None
        assert said is None or said.returncode == 0, said.stdout + said.stderr
        return slurm.ask("squeue", "--noheader", "--array", "--states=PENDING", "--format=%r").split()

    board = json.loads(gta("status", *words[1:], "--json", **slurm.environment).stdout)["cells"]
    first, second = (cell for cell in board if cell["state"] == "queued")
    assert reasons("hold", first["signature"], second["signature"]) == ["JobHeldUser"] * 2
    assert reasons("release", second["signature"], "--priority", "1").count("JobHeldUser") == 1
    shown = gta("status", *words[1:], **slurm.environment).stdout
    assert f"`gta release {first['signature'][:8]}` lets it go" in " ".join(shown.split())
    assert re.search(r"the next cell \(1 wait in Slurm\), Slurm's own estimate: (unknown|\d+)", shown), shown
    assert "JobHeldUser" not in reasons("release", first["signature"])
    assert "Priority=1 " in slurm.ask("scontrol", "show", "job", second["job"])


def test_cells_after_another(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    """Sent while the other one is on its way, they start once it is done; after one that was never sent, none is."""
    words = ["multirun", "sweep=shapes", *small, "method=supervised", *SITE, "site.ranks=1"]
    refused = gta(*words, "seed=1,2", "--after", "supervised/1_5/seed2", "--no-wait", **slurm.environment)
    assert (refused.returncode, "would wait for itself" in refused.stderr) == (2, True), refused.stderr
    sent = gta(*words, "seed=0", "--no-wait", "site.sbatch.begin=now+20", **slurm.environment)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    (first,) = submitted(tmp_path / "runs")
    said = gta(*words, "seed=1,2", "--after", "supervised/1_5/seed0", **slurm.environment)
    assert said.returncode == 0, said.stdout + said.stderr
    made = {str(attempt.job): attempt for attempt in attempts(tmp_path / "runs")}
    assert [attempt.ended for attempt in made.values()] == ["done"] * 3
    ends = made.pop(first).end_time
    assert all(attempt.time > ends for attempt in made.values())


def test_a_cell_on_two_nodes(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    words = ["multirun", "sweep=shapes", *small, "seed=0", "method=supervised", "schedule.group_size=4"]
    said = gta(*words, *SITE, "site.nodes=2", **slurm.environment)
    assert said.returncode == 0, said.stdout + said.stderr
    (job,) = submitted(tmp_path / "runs")
    assert "NumNodes=2" in slurm.ask("scontrol", "show", "job", job)
    (journal,) = tmp_path.glob("runs/cells/*/journal.jsonl")
    assert json.loads(journal.read_text().splitlines()[0])["world_size"] == 2


def test_what_is_edited_while_cells_wait_changes_nothing_for_them(
    generated: Path, tmp_path: Path, slurm: Slurm
) -> None:
    """The project's files are copied; while a filler holds the nodes, a program and a YAML of the copy are spoilt."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("gta", "launch", "analysis", "sweeps", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    subprocess.run(["git", "add", "."], cwd=copy, check=True)
    words = ["multirun", "sweep=shapes", *SMALL_SHAPES, *SMALL_SCHEDULE, "data.split=1/5", "seed=0"]
    words += ["method=supervised", *SITE, "site.ranks=1", *paths(tmp_path, generated)]
    filler = slurm.ask("sbatch", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 300").split()[-1]
    runs = tmp_path / "runs"
    with launcher(words, copy, slurm, PYTHONPATH=str(copy)) as watching:
        until(lambda: submitted(runs))
        time.sleep(1)
        for name in ("gta/train/run.py", "gta/train/trainer.py", "launch/job/start.py"):
            (copy / name).write_text("raise SystemExit('the edited program ran')\n")
        (copy / "gta/conf/schedule/shapes.yaml").write_text("iterations: 1\n")
        slurm.ask("scancel", filler)
        until(lambda: numbers(runs))
        watching.wait(120)
    (attempt,) = attempts(runs)
    assert attempt.ended == "done"
    assert attempt.environment["snapshot"].startswith(str(runs))

    environment = {**os.environ, "COLUMNS": "200"}
    here = [word for word in words if word not in SITE]
    here = [word for word in here if not word.startswith(("paths.runs", "hydra/launcher"))]
    command = [sys.executable, "-m", "gta", *here, f"paths.runs={tmp_path / 'local'}"]
    local = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert local.returncode == 0, local.stdout + local.stderr
    assert numbers(tmp_path / "local") == numbers(runs)


def test_a_cell_in_the_foreground_of_a_terminal(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    """`gta debug`: Ctrl-C at the terminal reaches both ranks through srun; without a terminal it goes on to the end."""
    grid = ["sweep=shapes", "method=supervised", "seed=0", *small, *SITE[1:], *RANKS, "schedule.iterations=400"]
    words = ["debug", DEBUGGED, *grid, "schedule.checkpoint_every=1000"]

    def journals() -> list[Path]:
        return list(tmp_path.glob("runs/cells/*/journal.jsonl"))

    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "gta", *words]
    environment = {**os.environ, **slurm.environment}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said: list[bytes] = []
    reader = threading.Thread(target=read_to_the_end, args=(mine, said))
    reader.start()
    try:
        until(lambda: process.poll() is not None or "metrics" in "".join(map(Path.read_text, journals())))
        assert process.poll() is None, b"".join(said)
        os.write(mine, b"\x03")
        assert process.wait(120) == 1, b"".join(said)
    finally:
        process.kill()
    (attempt,) = attempts(tmp_path / "runs")
    assert (attempt.ended, attempt.log) == ("interrupted", None), b"".join(said)
    assert attempt.job in submitted(tmp_path / "runs")

    def status() -> tuple[str, str | None]:
        cell = json.loads(gta("status", *words[2:], "--json", **slurm.environment).stdout)["cells"][0]
        return cell["state"], cell["node"]

    until(lambda: status() == ("stopped", None))  # Slurm clears the node up first

    again = gta(*words, **slurm.environment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "by srun, 2 ranks" in again.stdout
    assert [attempt.ended for attempt in attempts(tmp_path / "runs")] == ["interrupted", "done"]


def read_to_the_end(terminal: int, said: list[bytes]) -> None:
    """What a terminal shows, until nobody writes to it any more."""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 4096):
            said.append(data)
    os.close(terminal)
