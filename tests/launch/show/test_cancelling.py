"""Cancelling: real processes of this host, jobs on a Slurm that the test plays, and what cannot be reached."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gta.cell import Cell
from launch.grid import names
from launch.show import cancel as cancelling
from launch.slurm import commands as slurm
from launch.state.ledger import State, look
from tests.helpers.cells import attempt, change_attempt, submitted
from tests.helpers.fake_slurm import FakeSlurm

PROCESS = """
import signal, sys, time
from pathlib import Path
from gta.cellfolder import CellFolder
from launch.state.attempts import claim
mine = claim(CellFolder(Path(sys.argv[1])))
asked = []
signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
print("ready", flush=True)
while not asked:
    time.sleep(0.01)
mine.end("interrupted")
"""


@pytest.fixture
def process(cells: list[Cell]) -> Iterator[subprocess.Popen[str]]:
    """A process that has the first cell, and that saves and leaves when it is asked."""
    command = [sys.executable, "-c", PROCESS, str(cells[0].folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
        yield running
        running.send_signal(signal.SIGKILL)


def test_a_process_of_this_host(process: subprocess.Popen[str], cells: list[Cell]) -> None:
    everyone = names.of_grid(cells)
    found = cancelling.targets(everyone[:2], everyone, None)
    assert [bool(target.process) for target in found] == [True, False]
    said = cancelling.cancel(found)
    assert said == {
        cells[0].signature: "stopped, saved where it had begun to train",
        cells[1].signature: "neither runs nor waits",
    }
    assert process.wait(timeout=10) == 0
    assert look(cells[0]).state is State.CANCELLED
    assert look(cells[1]).state is State.NEVER_RUN, "no word about what did not run"
    again = cancelling.targets(everyone[:1], everyone, None)
    assert again[0].over == "neither runs nor waits"


def test_jobs_of_slurm(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57_0", "57_1", state="RUNNING", node="n1")
    submitted(cells[0], "57_0")
    submitted(cells[1], "57_1")
    submitted(cells[2], "50")  # over long ago
    everyone = names.of_grid(cells)
    said = cancelling.cancel(cancelling.targets(everyone, everyone, slurm.queue()))
    assert list(said.values()) == ["job 57_0: cancelled", "job 57_1: cancelled", "neither runs nor waits"]
    assert fake_slurm.calls("scancel") == [["57_0", "57_1"]], "one call for all"
    ended = cells[0].folder.cancelled()
    assert ended is not None
    assert ended.job == "57_0"
    assert look(cells[0], slurm.queue()).state is State.CANCELLED


def test_a_job_that_runs_other_cells_too(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57")
    submitted(cells[0], "57")
    submitted(cells[1], "57")
    everyone = names.of_grid(cells)
    (alone,) = cancelling.targets(everyone[:1], everyone, slurm.queue())
    assert "also runs gta/1/8/seed1" in alone.beyond
    together = cancelling.targets(everyone[:2], everyone, slurm.queue())
    cancelling.cancel(together)
    assert fake_slurm.calls("scancel") == [["57"]]


def test_what_is_out_of_reach(cells: list[Cell], tmp_path: Path) -> None:
    attempt(cells[0], "101", None)
    change_attempt(cells[0], place="elsewhere", host="n9", pid=4)
    submitted(cells[1], "57")
    attempt(cells[2], "103", "done")
    everyone = names.of_grid(cells)
    there, waiting, done = cancelling.targets(everyone, everyone, None)
    assert there.beyond == "it runs on n9 (process 4): cancel it there"
    assert "no Slurm answers here" in waiting.beyond
    assert done.over == "done already"
    cancelling.cancel([there, waiting, done])
    assert not list(tmp_path.glob("runs/cells/*/cancelled.json")), "nothing is claimed that was not done"


def test_a_record_that_hides_the_job_is_said_and_ends_no_other(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57_0")
    submitted(cells[0], "57_0")
    cells[1].folder.submitted_file.write_text("{")
    everyone = names.of_grid(cells)
    found = cancelling.targets(everyone, everyone, slurm.queue())
    assert "submitted.json is not JSON: see whether a job of the cell is held" in found[1].beyond
    cancelling.cancel(found)
    assert fake_slurm.calls("scancel") == [["57_0"]]
