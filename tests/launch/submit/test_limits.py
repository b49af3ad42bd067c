"""A cluster that takes no more jobs now: what fits is sent, the rest later. Stand-ins for Slurm's programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.errors import UserError
from launch.slurm import submitting
from launch.state.ledger import State
from launch.submit.fitting import AGAIN_SECONDS, Full, shares
from launch.submit.selection import Selection
from launch.submit.slurm_array import SlurmCluster
from launch.submit.watch import Watch
from tests.helpers.cells import claim, finish, of_seeds
from tests.helpers.fake_slurm import FakeSlurm

PARAMS: dict[str, Any] = {
    "submitit_folder": "jobs/%j", "name": "gta-toy", "timeout_min": 10, "array_parallelism": 256, "nodes": 1,
    "additional_parameters": {},
}  # fmt: skip


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    return of_seeds(8, tmp_path / "runs")


def cluster(tmp_path: Path, **params: Any) -> SlurmCluster:
    return SlurmCluster(lambda site: {**PARAMS, **params}, tmp_path / "runs/sweeps/toy", lambda: None)


def watching(cells: list[Cell], tmp_path: Path, **params: Any) -> Watch:
    return Watch(cells, cluster(tmp_path, **params), Selection())


def sent(cells: list[Cell]) -> list[str]:
    return [found.job for cell in cells if (found := cell.folder.submitted())]


def end(fake_slurm: FakeSlurm, cells: list[Cell], *jobs: str) -> None:
    """These jobs run their cells to the end."""
    for cell in cells:
        found = cell.folder.submitted()
        if found and found.job in jobs and not cell.folder.done:
            claim(cell, job=found.job).end("done")
            finish(cell)
            fake_slurm.set(found.job, state="COMPLETED")


def arrays(fake_slurm: FakeSlurm) -> list[str]:
    """What each sbatch was told of its array; of a job that is none, 1."""
    found = (re.search(r"--array=(\S+)", script) for script in fake_slurm.scripts().values())
    return [match[1] if match else "1" for match in found]


@pytest.mark.parametrize("limit", ["AssocMaxSubmitJobLimit", ""])
def test_what_fits_is_sent_and_the_rest_as_jobs_end(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: str
) -> None:
    fake_slurm.switch(most_jobs=5, limit=limit)
    watch = watching(cells, tmp_path)
    entries = watch.turn()
    assert [entry.state for entry in entries].count(State.QUEUED) == 5
    assert not watch.over(entries), "it goes on watching"
    calls = len(fake_slurm.calls("sbatch"))
    watch.turn()
    assert len(fake_slurm.calls("sbatch")) == calls, "nothing has ended: it is not asked again and again"
    end(fake_slurm, cells, *sent(cells)[:2])
    watch.turn()
    assert len(sent(cells)) == 7
    end(fake_slurm, cells, *sent(cells))
    watch.turn()
    assert len(set(sent(cells))) == 8
    end(fake_slurm, cells, *sent(cells))
    assert watch.over(watch.turn())
    said = capsys.readouterr().out
    assert said.count("Slurm takes no more of the jobs now") == 1, "once"
    assert (limit or "violates accounting/QOS policy") in said
    folders = list((tmp_path / "runs/sweeps/toy/submissions").iterdir())
    assert all((folder / "recorded.json").exists() for folder in folders), "of what was refused nothing is left"


def test_the_next_multirun_sends_the_rest(fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path) -> None:
    fake_slurm.switch(most_jobs=3)
    watching(cells, tmp_path).turn()  # as --no-wait: one turn
    assert len(sent(cells)) == 3
    watching(cells, tmp_path).turn()
    assert len(sent(cells)) == 3
    end(fake_slurm, cells, *sent(cells))
    watching(cells, tmp_path).turn()
    assert len(sent(cells)) == 6


def test_a_limit_that_time_does_not_mend_is_an_error(fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path) -> None:
    fake_slurm.switch(most_jobs=0, limit="")  # the version does not say which, and no job of ours is there to end
    with pytest.raises(UserError, match=r"sbatch refused the jobs .*violates accounting/QOS policy"):
        watching(cells, tmp_path).turn()
    fake_slurm.switch(most_jobs=0, limit="QOSMaxWallDurationPerJobLimit")
    with pytest.raises(UserError, match="QOSMaxWallDurationPerJobLimit"):
        watching(cells, tmp_path).turn()
    assert not list((tmp_path / "runs/sweeps/toy/submissions").iterdir())


def test_array_parallelism_holds_over_all_arrays_of_a_sweep(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path
) -> None:
    fake_slurm.switch(config={"MaxArraySize": "4", "ClusterName": "test"})
    watch = watching(cells, tmp_path, array_parallelism=4)
    watch.turn()
    assert arrays(fake_slurm) == ["0-2%1", "0-2%1", "0-1%2"], "arrays of 3, 3 and 2; 4 jobs at once"


def test_arrays_without_a_share_of_array_parallelism_are_sent_later(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path
) -> None:
    fake_slurm.switch(config={"MaxArraySize": "4", "ClusterName": "test"})
    watch = watching(cells, tmp_path, array_parallelism=1)
    watch.turn()
    assert arrays(fake_slurm) == ["0-2%1"]
    watching(cells, tmp_path, array_parallelism=1).turn()
    assert arrays(fake_slurm) == ["0-2%1"], "another launcher counts the same jobs"
    end(fake_slurm, cells, *sent(cells))
    watch.turn()
    assert arrays(fake_slurm) == ["0-2%1", "0-2%1"]


def test_an_answer_of_sbatch_that_is_lost(fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path) -> None:
    fake_slurm.switch(crash_after_sbatch=True)
    watch = watching(cells, tmp_path)
    entries = watch.turn()
    assert {entry.state for entry in entries} == {State.QUEUED}, "the jobs are found by their name"
    assert len(fake_slurm.calls("sbatch")) == 1


def test_a_controller_that_holds_all_the_jobs_it_can(
    fake_slurm: FakeSlurm, cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "SBATCH_SECONDS", 0.5)
    program = fake_slurm.bin / "sbatch"
    taking = program.read_text()
    words = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"
    program.write_text(f"#!/bin/sh\necho '{words}' >&2\nexec sleep 60\n")
    watch = watching(cells, tmp_path)
    entries = watch.turn()
    assert {entry.state for entry in entries} == {State.NEVER_RUN}
    assert not watch.over(entries)
    assert watch.silence is None, "it did answer"
    program.write_text(taking)
    assert {entry.state for entry in watching(cells, tmp_path).turn()} == {State.QUEUED}


def test_shares_of_what_may_run_at_once() -> None:
    assert shares(256, [100, 24]) == [100, 24]
    assert shares(256, [1000, 24]) == [249, 6]
    assert shares(2, [7, 7, 7]) == [1, 1, 0]
    assert shares(0, [7]) == shares(-3, [7]) == [0]
    for room in range(40):
        made = shares(room, [7, 7, 3])
        assert sum(made) <= room
        assert all(share <= size for share, size in zip(made, [7, 7, 3], strict=True))


def test_a_full_cluster_is_tried_again_when_that_can_help() -> None:
    now = 0.0
    full = Full(lambda: now)
    assert full.again(frozenset())
    full.saw(frozenset({"57_0", "57_1"}))
    assert not full.again(frozenset({"57_0", "57_1"}))
    assert full.again(frozenset({"57_1"})), "a job has ended"
    now = AGAIN_SECONDS
    assert full.again(frozenset({"57_0", "57_1"})), "another's may have"
