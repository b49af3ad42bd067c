"""Ranks of one machine below a process that waits for all of them, as submitit's controller does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import CellFolder
from launch.job.failure import abandon
from launch.state.ledger import look, to_run
from tests.helpers.cells import change_attempt, claim, failed, last_attempt
from tests.helpers.program import Run
from tests.helpers.slurm import until

RANK = """
import sys, time
from pathlib import Path
from launch.job import siblings
siblings.GONE_SECONDS, siblings.LOOK_SECONDS = 0.5, 0.05
name, leaves = sys.argv[1:]
with siblings.siblings(2, Path("why").write_text) as all_here:
    while not all_here():
        time.sleep(0.02)
    Path(name).write_text("here")
    while not Path(leaves).exists():
        time.sleep(0.02)
"""
CONTROLLER = """
import subprocess, sys
from pathlib import Path
ranks = [subprocess.Popen([sys.executable, "-c", sys.argv[1], f"rank{number}", f"leave{number}"]) for number in (0, 1)]
Path("pids").write_text(" ".join(str(rank.pid) for rank in ranks))
print(*[rank.wait() for rank in ranks])
"""


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    words = [sys.executable, "-c", CONTROLLER, RANK]
    made = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    until(lambda: all((tmp_path / f"rank{number}").exists() for number in (0, 1)))
    return made


def test_a_rank_whose_sibling_was_killed_ends(controller: subprocess.Popen[str], tmp_path: Path) -> None:
    pid = int((tmp_path / "pids").read_text().split()[1])
    os.kill(pid, signal.SIGKILL)
    said, _ = controller.communicate(timeout=900)
    why = f"another rank (process {pid} on {os.uname().nodename}) is gone without a word"
    assert said.splitlines() == [
        f"The attempt is lost: {why}; the cell goes on from its last checkpoint.",
        "1 -9",
    ]
    assert (tmp_path / "why").read_text() == why, "before it ended"


def test_the_attempt_says_why_it_ended(cells: list[Cell]) -> None:
    folder = cells[0].folder
    abandon(folder, "57", 0, True, "a rank is gone")  # before any was claimed
    for number, (job, restart, first) in enumerate([("56", 0, True), ("57", 1, True), ("57", 0, False)], 1):
        claim(cells[0], after=number, job="57", restart=0)
        abandon(folder, job, restart, first, "a rank is gone")
        assert last_attempt(cells[0]).ended is None, "another job's, an earlier start's, or rank 0 can do it itself"
    change_attempt(cells[0], started="0")
    abandon(folder, "57", 0, False, "rank 0 is gone")
    closed = last_attempt(cells[0])
    assert (closed.ended, closed.error) == ("lost", "rank 0 is gone")
    assert closed.end_time
    entry = look(cells[0])
    assert (to_run(entry), entry.detail) == (True, "stopped before its first iterations (rank 0 is gone)")
    abandon(folder, "57", 0, True, "once is enough")
    assert last_attempt(cells[0]) == closed


def test_what_a_rank_said_before_it_left_counts(cells: list[Cell]) -> None:
    claim(cells[0], job="57", restart=0)
    failed(cells[0], "ValueError: boom", rank=1, log="/log1")
    abandon(cells[0].folder, "57", 0, True, "a rank is gone")
    closed = last_attempt(cells[0])
    assert (closed.ended, closed.why, closed.error, closed.log) == ("failed", "exception", "ValueError: boom", "/log1")
    assert not to_run(look(cells[0]))


DIES = """
import os, pathlib, time
if os.environ.get("SUBMITIT_LOCAL_GLOBALID") == "1":
    mark = pathlib.Path("{folder}/killed")
    while not mark.exists():  # until rank 0 has the cell, and waits for this one
        if list(pathlib.Path("{folder}/runs/cells").glob("*/attempts/0001.json")):
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), 9)
        time.sleep(0.1)
elif "SUBMITIT_LOCAL_GLOBALID" in os.environ:
    from launch.job import siblings
    siblings.GONE_SECONDS = 2.0
"""


@pytest.mark.slow
def test_a_rank_that_is_killed_before_the_ranks_meet(gta: Run, small: list[str], tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first/sitecustomize.py").write_text(DIES.format(folder=tmp_path))
    words = [*small, "method=supervised", "seed=0", "sweep=shapes", "site.ranks=2", "schedule.group_size=4"]
    said = gta("multirun", *words, PYTHONPATH=str(tmp_path / "first"))
    assert said.returncode == 0, said.stdout + said.stderr
    (path,) = tmp_path.glob("runs/cells/*")
    lost, done = CellFolder(path).attempts()
    assert (lost.ended, done.ended) == ("lost", "done")
    assert lost.error is not None
    assert lost.error.startswith("another rank")
    assert f"lost  {lost.error}" in gta("show", path.name, *words).stdout


def test_ranks_that_leave_in_order_are_not_missed(controller: subprocess.Popen[str], tmp_path: Path) -> None:
    for number in (0, 1):
        (tmp_path / f"leave{number}").touch()
    assert controller.communicate(timeout=900)[0] == "0 0\n"


def test_without_a_controller_nobody_can_tell(controller: subprocess.Popen[str], tmp_path: Path) -> None:
    """It was killed itself: the ranks go on, as a cell does whose launcher died."""
    first, second = (int(pid) for pid in (tmp_path / "pids").read_text().split())
    controller.kill()
    controller.wait()
    os.kill(second, signal.SIGKILL)
    with pytest.raises(AssertionError):
        until(lambda: not Path(f"/proc/{first}").exists(), 2.0)
    (tmp_path / "leave0").touch()
    until(lambda: not Path(f"/proc/{first}").exists())
