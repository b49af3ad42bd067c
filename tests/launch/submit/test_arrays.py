"""What is done for jobs that Slurm holds already, with stand-ins for its programs: no Slurm is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gta.cell import Cell
from launch.state.ledger import Entry, State
from launch.state.submission import ToSubmit, write_submission
from launch.submit.slurm_array import LOOKS, SlurmCluster
from tests.helpers.cells import of_seeds
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    """Four cells, submitted as 57_0 to 57_3."""
    made = of_seeds(4, tmp_path)
    made[3] = replace(made[3], config=changed(made[3].config, {"site.exclude": "old[1-2]"}))
    chosen = [ToSubmit(cell, 0, False) for cell in made]
    write_submission(tmp_path / "sweeps/toy/submissions", str(tmp_path), "gta-toy", 1, chosen).record("57")
    return made


def queued(cell: Cell, job: str, attempts: int) -> Entry:
    return Entry(cell, State.QUEUED, attempts=attempts, job=job, cluster="slurm")


def excluded(fake_slurm: FakeSlurm) -> dict[str, str]:
    """Job -> the nodes that it was told to keep away from."""
    jobs = fake_slurm.jobs()
    return {job: fields["updated"]["ExcNodeList"] for job, fields in jobs.items() if "updated" in fields}


@pytest.fixture
def cluster(tmp_path: Path) -> SlurmCluster:
    return SlurmCluster(lambda site: {}, tmp_path / "sweeps/toy", lambda: None)


def test_jobs_that_wait_keep_away_from_a_node_that_failed_twice(
    fake_slurm: FakeSlurm, cells: list[Cell], cluster: SlurmCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_slurm.add("57_0", state="NODE_FAIL", node="bad")
    fake_slurm.add("57_1", state="RUNNING", node="good")
    fake_slurm.add("57_2", "57_3")
    running = Entry(cells[1], State.RUNNING, attempts=1, job="57_1", cluster="slurm")
    entries = [running, queued(cells[2], "57_2", 1), queued(cells[3], "57_3", 0)]
    cluster.avoid_failing_nodes(entries)
    assert excluded(fake_slurm) == {}, "it failed once"
    fake_slurm.set("57_1", state="NODE_FAIL", node="bad")
    cluster.avoid_failing_nodes(entries)
    cluster.avoid_failing_nodes(entries)
    assert excluded(fake_slurm) == {"57_2": "bad", "57_3": "old[1-2],bad"}, "the site's own exclusion stays"
    assert capsys.readouterr().out == "bad: failed 2 times or more; the jobs that wait keep away.\n", "said once"


def test_the_accounting_is_asked_only_about_jobs_that_were_put_back(
    fake_slurm: FakeSlurm, cells: list[Cell], cluster: SlurmCluster
) -> None:
    fake_slurm.add("57_0", "57_1")
    for _ in range(3):
        cluster.avoid_failing_nodes([queued(cells[0], "57_0", 0), replace(queued(cells[1], "57_1", 1), node="n1")])
    assert fake_slurm.calls("sacct") == [], "nothing was put back: one never began, one's node is not given up yet"
    for _ in range(LOOKS + 3):
        cluster.avoid_failing_nodes([queued(cells[0], "57_0", 1), queued(cells[1], "57_1", 0)])
    assert len(fake_slurm.calls("sacct")) == LOOKS
    cluster.avoid_failing_nodes([queued(cells[0], "57_0", 2)])
    assert len(fake_slurm.calls("sacct")) == LOOKS + 1, "put back once more"
