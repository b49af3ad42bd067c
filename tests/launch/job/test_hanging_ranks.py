"""Real ranks that hang or are stopped: ended with their stacks, named, and the cell goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gta.cell import Cell
from gta.cellfolder import CellFolder, Death
from launch.state.ledger import State, look, to_run
from tests.helpers import hanging_rank
from tests.helpers.cells import last_attempt
from tests.helpers.notified import of_site, script, told
from tests.helpers.program import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wait", "stop"])
def test_a_rank_that_hangs_is_ended_with_its_stack(tmp_path: Path, how: str) -> None:
    cells = of_site(tmp_path, 1)
    command = [sys.executable, "-m", "tests.helpers.hanging_rank", str(cells[0].folder.path), how]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert f"(site.stuck_minutes={hanging_rank.MINUTES:g}) and is ended. Its stack:" in ended.stderr
    record = last_attempt(cells[0])
    assert (record.ended, record.why) == ("lost", "stuck")
    assert record.error
    if how == "wait":
        assert "in hang_here" in ended.stderr
        assert record.error.endswith("; its log has the stack")
    else:
        assert "a process that is stopped can show none" in ended.stderr
        assert record.error.endswith("is stopped (SIGSTOP)"), "and that rank is named"
    entry = look(cells[0])
    assert (entry.state, entry.cause) == (State.RESUMABLE, Death.STUCK)
    assert record.error in entry.detail
    assert to_run(entry), "again, by itself"
    (fact,) = told(tmp_path)
    assert "ended: no progress for 0.05 min" in fact["title"], "no launcher watches: its watchdog tells"


@pytest.mark.slow
def test_two_ranks_are_ended_together_and_the_one_that_hangs_is_named(cells: list[Cell]) -> None:
    command = [sys.executable, "-m", "tests.helpers.hanging_rank", str(cells[0].folder.path)]
    ranks = [
        subprocess.Popen([*command, how, str(rank), "2"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for rank, how in enumerate(["wait", "stop"])
    ]
    logs = [rank.communicate(timeout=900)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [-signal.SIGKILL] * 2, logs
    assert "in hang_here" in logs[0]
    assert "can show none" in logs[1]
    error = last_attempt(cells[0]).error
    assert error is not None
    assert f"rank 1 on {os.uname().nodename} (process {ranks[1].pid}) is stopped (SIGSTOP)" in error


@pytest.mark.slow
def test_a_stopped_rank_of_a_local_cell_ends_the_attempt_and_the_cell_goes_on(small: list[str], tmp_path: Path) -> None:
    words = [*small, "method=supervised", "seed=0", "sweep=shapes", "site.ranks=2", "schedule.group_size=4"]
    long = ["schedule.iterations=40", "site.workers=1", "schedule.log_every=1", "site.stuck_minutes=0.3"]
    long += ["schedule.eval_every=40", "schedule.checkpoint_every=4"]
    long.append(f"site.notify={script(tmp_path)!r}")
    command = [sys.executable, "-m", "gta", "multirun", *words, *long]
    launcher = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    stopped: psutil.Process | None = None
    while launcher.poll() is None and stopped is None:
        for journal in tmp_path.glob("runs/cells/*/journal.jsonl"):
            if '"metrics"' in journal.read_text():
                stopped = rank_one(launcher.pid)
                stopped.suspend()
        time.sleep(0.05)
    said = launcher.communicate(timeout=900)[0]
    assert launcher.returncode == 0, said
    assert stopped is not None
    (path,) = tmp_path.glob("runs/cells/*")
    folder = CellFolder(path)
    lost = [one for one in folder.attempts() if one.why == "stuck"]
    assert f"(process {stopped.pid}) is stopped (SIGSTOP)" in str([one.error for one in lost])
    assert folder.done
    last = folder.latest_attempt()
    assert last is not None
    assert (last.ended, last.began) == ("done", lost[-1].saved or 0)
    logs = "".join(log.read_text() for log in tmp_path.glob("runs/sweeps/shapes/**/*_log.out"))
    assert "Rank 0 (process " in logs, "the other one shows where it waits"
    assert "Current thread" in logs
    assert [fact["event"] for fact in told(tmp_path)] == ["stuck", "end"]


def rank_one(launcher: int) -> psutil.Process:
    """The process of rank 1, not the workers that load its data: those are its children."""
    children = psutil.Process(launcher).children(recursive=True)
    ranks = [one for one in children if "submitit.core._submit" in one.cmdline() and "_submit" not in str(parent(one))]
    return next(one for one in ranks if one.environ()["SUBMITIT_LOCAL_GLOBALID"] == "1")


def parent(process: psutil.Process) -> list[str]:
    above = process.parent()
    return above.cmdline() if above else []
