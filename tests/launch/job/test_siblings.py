"""Ranks of one machine below a process that waits for all of them, as submitit's controller does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.slurm import until

RANK = """
import sys, time
from pathlib import Path
from launch.job import siblings
siblings.GONE_SECONDS, siblings.LOOK_SECONDS = 0.5, 0.05
name, leaves = sys.argv[1:]
with siblings.siblings(2) as all_here:
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
    os.kill(int((tmp_path / "pids").read_text().split()[1]), signal.SIGKILL)
    said, _ = controller.communicate(timeout=100)
    assert said.splitlines() == [
        "The attempt is lost: another rank is gone; the cell goes on from its last checkpoint.",
        "1 -9",
    ]


def test_ranks_that_leave_in_order_are_not_missed(controller: subprocess.Popen[str], tmp_path: Path) -> None:
    for number in (0, 1):
        (tmp_path / f"leave{number}").touch()
    assert controller.communicate(timeout=100)[0] == "0 0\n"


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
