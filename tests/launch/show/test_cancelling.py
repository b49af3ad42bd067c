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
from launch.state.jobs import Unknown
from launch.state.ledger import State, look
from launch.state.submission import ToSubmit, write_submission
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
    found = cancelling.targets(everyone[:2], everyone, {})
    assert [bool(target.process) for target in found] == [True, False]
    said = cancelling.cancel(found)
    assert said == {
        cells[0].signature: "stopped, saved where it had begun to train",
        cells[1].signature: "neither runs nor waits",
    }
    assert process.wait(timeout=10) == 0
    assert look(cells[0]).state is State.CANCELLED
    assert look(cells[1]).state is State.NEVER_RUN, "no word about what did not run"
    again = cancelling.targets(everyone[:1], everyone, {})
    assert again[0].over == "neither runs nor waits"


def test_jobs_of_slurm(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57_0", "57_1", state="RUNNING", node="n1")
    submitted(cells[0], "57_0", name="gta")
    submitted(cells[1], "57_1", name="gta")
    submitted(cells[2], "50", name="gta")  # over long ago
    everyone = names.of_grid(cells)
    said = cancelling.cancel(cancelling.targets(everyone, everyone, slurm.queue()))
    assert list(said.values()) == ["job 57_0: cancelled", "job 57_1: cancelled", "neither runs nor waits"]
    assert fake_slurm.calls("scancel") == [["57_0", "57_1"]], "one call for all"
    ended = cells[0].folder.cancelled()
    assert ended is not None
    assert ended.job == "57_0"
    assert look(cells[0]).state is State.CANCELLED


def test_a_scancel_that_fails_is_no_end(
    cells: list[Cell], fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_slurm.add("57_0", "57_1", state="RUNNING", node="n1")
    submitted(cells[0], "57_0", name="gta")
    everyone = names.of_grid(cells[:1])
    fake_slurm.switch(broken={"scancel": "scancel: error: Kill job error on job id 57_0: Access/permission denied"})
    (said,) = cancelling.cancel(cancelling.targets(everyone, everyone, slurm.queue())).values()
    assert said.startswith(
        "scancel: error: Kill job error on job id 57_0: Access/permission denied; told by its folder"
    )
    fake_slurm.switch(broken={"scancel": "scancel: error: Kill job error on job id 57_0: Invalid job id specified"})
    assert slurm.cancel({"57_0": "gta"}) == {"57_0"}, "over meanwhile"


def test_a_job_that_runs_other_cells_too(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57")
    submitted(cells[0], "57", name="gta")
    submitted(cells[1], "57", name="gta")
    everyone = names.of_grid(cells)
    (alone,) = cancelling.targets(everyone[:1], everyone, slurm.queue())
    assert "also runs gta/1/8/seed1" in alone.beyond
    together = cancelling.targets(everyone[:2], everyone, slurm.queue())
    cancelling.cancel(together)
    assert fake_slurm.calls("scancel") == [["57"]]


def test_a_strangers_job_that_has_the_id_by_now_is_left_alone(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57", name="of-somebody-else")
    fake_slurm.add("58", name="gta-toy-2")
    fake_slurm.add("59", name="of-a-third")
    submitted(cells[0], "57", name="gta-toy-1")
    submitted(cells[1], "58", name="gta-toy-2")
    submitted(cells[2], "59")  # a record of an older version
    everyone = names.of_grid(cells)
    found = cancelling.targets(everyone, everyone, slurm.queue())
    fake_slurm.set("58", name="of-another")  # while a person is asked whether they mean it
    assert list(cancelling.cancel(found).values()) == [
        "neither runs nor waits",
        "job 58: over meanwhile",
        "its record does not say what its job 59 is called; told by its folder: it leaves at its next step, or when it "
        "starts",
    ]
    assert fake_slurm.calls("scancel") == []


def test_the_job_of_an_old_record_is_known_by_its_submission(
    cells: list[Cell], fake_slurm: FakeSlurm, tmp_path: Path
) -> None:
    made = write_submission(tmp_path / "submissions", str(tmp_path), "gta-toy", 1, [ToSubmit(cells[0])])
    fake_slurm.add("57", name=made.name)
    submitted(cells[0], "57", log=made.log_of("57", 0))
    everyone = names.of_grid(cells[:1])
    said = cancelling.cancel(cancelling.targets(everyone, everyone, slurm.queue()))
    assert list(said.values()) == ["job 57: cancelled"]


def test_what_is_out_of_reach_leaves_by_itself(cells: list[Cell]) -> None:
    attempt(cells[0], "101", None)
    change_attempt(cells[0], place="elsewhere", host="n9", pid=4)
    submitted(cells[1], "57")
    attempt(cells[2], "103", "done")
    everyone = names.of_grid(cells)
    there, waiting, done = cancelling.targets(everyone, everyone, Unknown("no Slurm on this machine", silent=True))
    said = cancelling.cancel([there, waiting, done])
    asked = "told by its folder: it leaves at its next step, or when it starts"
    assert list(said.values()) == [
        f"it runs on n9; {asked}",
        f"no Slurm on this machine; {asked}",
        "done already",
    ]
    assert [cell.folder.cancelled() is not None for cell in cells] == [True, True, False]


def test_a_record_that_hides_the_job_is_said_and_ends_no_other(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57_0")
    submitted(cells[0], "57_0", name="gta")
    cells[1].folder.submitted_file.write_text("{")
    everyone = names.of_grid(cells)
    found = cancelling.targets(everyone, everyone, slurm.queue())
    assert "submitted.json is not JSON: `gta repair " in found[1].beyond
    cancelling.cancel(found)
    assert fake_slurm.calls("scancel") == [["57_0"]]
