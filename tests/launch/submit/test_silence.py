"""A scheduler that does not answer, answers late, or says what is no longer so: nothing is submitted twice, nothing
lost, and nobody else's job is taken for ours. A launcher on stand-ins for Slurm's programs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hydra.types import RunMode

from gta.cell import Cell
from gta.cellfolder import Death
from gta.compose.hydra import ConfigLoaderImpl
from gta.errors import UserError
from launch.show.rows import rows
from launch.slurm import cluster as facts
from launch.slurm import commands as slurm
from launch.slurm import patience, submitting
from launch.slurm.reconcile import reconcile
from launch.state.jobs import Unknown
from launch.state.ledger import State
from launch.state.submission import ToSubmit, write_submission
from launch.submit.fitting import DOUBT_SECONDS
from launch.submit.launcher import slurm_params
from launch.submit.selection import Selection
from launch.submit.slurm_array import SlurmCluster
from launch.submit.watch import Watch
from tests.helpers.cells import cancelled, change_attempt, claim, failed, finish, of_seeds
from tests.helpers.fake_slurm import FakeSlurm


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "PAUSE_SECONDS", 0.0)
    for name in ("AT_ONCE", "SHORT", "LONG"):  # looks are minutes apart
        monkeypatch.setattr(patience, name, 0.0)


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    return of_seeds(3, tmp_path / "runs")


@pytest.fixture
def cluster(loader: ConfigLoaderImpl, cells: list[Cell], tmp_path: Path, fake_slurm: FakeSlurm) -> SlurmCluster:
    words = ["hydra/launcher=slurm", "method=gta", "data=shapes", "data.split=1/50", "model=tiny", "schedule=shapes"]
    master = loader.load_configuration("config", words, RunMode.MULTIRUN)
    return SlurmCluster(lambda site: slurm_params(master, site), tmp_path / "runs/sweeps/toy", lambda: None)


@pytest.fixture
def watch(cells: list[Cell], cluster: SlurmCluster) -> Watch:
    """One that has submitted its three cells as 57_0 to 57_2."""
    made = Watch(cells, cluster, Selection())
    assert states(made) == [State.QUEUED] * 3
    return made


def states(watch: Watch) -> list[State]:
    """After a turn."""
    return [entry.state for entry in watch.turn()]


def sent(fake_slurm: FakeSlurm) -> int:
    return len(fake_slurm.calls("sbatch"))


@pytest.mark.parametrize(
    "how", [{"up": False}, {"failing": {"squeue": 1000}}, {"broken": {"squeue": "slurm_load_jobs"}}]
)
def test_a_controller_that_is_silent_for_long(watch: Watch, fake_slurm: FakeSlurm, how: dict[str, object]) -> None:
    fake_slurm.switch(**how)
    for _ in range(4):
        entries = watch.turn()
        assert [entry.state for entry in entries] == [State.QUEUED] * 3, "as their folders have it"
        assert watch.silence
        assert "Slurm does not answer" in watch.silence.why
        assert not watch.over(entries)
    fake_slurm.switch(up=True, failing={}, broken={})
    fake_slurm.set("57_1", state="NODE_FAIL", node="n1")
    assert states(watch) == [State.QUEUED] * 3, "the one that was lost meanwhile is submitted again"
    assert watch.silence is None
    assert sent(fake_slurm) == 2


def test_a_controller_that_is_slow(watch: Watch, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ping is asked first, which would call a busy controller absent; a question that takes too long is silence."""
    fake_slurm.switch(slow={"scontrol": 3, "squeue": 0.5})
    assert states(watch) == [State.QUEUED] * 3
    assert watch.silence is None
    monkeypatch.setattr(slurm, "ASK_SECONDS", 0.1)
    assert states(watch) == [State.QUEUED] * 3
    assert watch.silence == Unknown("Slurm does not answer (squeue)", silent=True)
    assert sent(fake_slurm) == 1


def test_three_questions_that_fail_are_no_end(watch: Watch, fake_slurm: FakeSlurm) -> None:
    fake_slurm.switch(failing={"squeue": 3})
    assert states(watch) == [State.QUEUED] * 3
    assert watch.silence
    assert states(watch) == [State.QUEUED] * 3
    assert watch.silence is None


def test_what_begins_while_the_controller_is_silent(
    cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm
) -> None:
    fake_slurm.switch(up=False)
    watch = Watch(cells, cluster, Selection())
    for _ in range(3):
        entries = watch.turn()
        assert [entry.state for entry in entries] == [State.NEVER_RUN] * 3
        assert watch.silence
        assert not watch.over(entries)
    assert fake_slurm.jobs() == {}
    fake_slurm.switch(up=True)
    assert states(watch) == [State.QUEUED] * 3
    assert len(fake_slurm.jobs()) == 3


def test_an_answer_of_sbatch_that_is_lost(cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm) -> None:
    """The job is there, though sbatch says that it timed out; the controller says so at once, or only later."""
    fake_slurm.switch(crash_after_sbatch=True)
    watch = Watch(cells[:1], cluster, Selection())
    assert states(watch) == [State.QUEUED], "found by its name"
    watch = Watch(cells, cluster, Selection())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slurm, "find_job", lambda name: Unknown("Slurm does not answer", silent=True))
        for _ in range(3):
            entries = watch.turn()
            assert [entry.state for entry in entries] == [State.QUEUED, State.NEVER_RUN, State.NEVER_RUN]
            assert not watch.over(entries)
        assert rows(entries)[1].what == "Slurm does not answer"
    assert sent(fake_slurm) == 2, "not sent again while nobody knows"
    assert states(watch) == [State.QUEUED] * 3
    assert sent(fake_slurm) == 2


def test_an_accounting_that_lags_behind(watch: Watch, cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    """The controller has forgotten jobs that the accounting still calls RUNNING: they wait, whatever became of them."""
    fake_slurm.set("57_0", state="CANCELLED", accounted="RUNNING")
    fake_slurm.set("57_1", state="FAILED", exit="1:0", accounted="RUNNING")
    entries = watch.turn()
    assert [entry.state for entry in entries] == [State.CANCELLED, State.FAILED, State.QUEUED], "the controller knows"
    for folder in (cell.folder for cell in cells[:2]):
        folder.cancelled_file.unlink(missing_ok=True)
        folder.failure_file.unlink(missing_ok=True)
    for job in ("57_0", "57_1"):
        fake_slurm.set(job, forgotten=True)
    for _ in range(3):
        entries = watch.turn()
        assert [entry.state for entry in entries] == [State.UNKNOWN, State.UNKNOWN, State.QUEUED]
        assert entries[0].detail == "job 57_0 is over, and the accounting still calls it RUNNING"
    fake_slurm.switch(broken={"sacct": "Unable to contact slurmdbd"})
    assert states(watch) == [State.UNKNOWN, State.UNKNOWN, State.QUEUED], "silent as well"
    fake_slurm.switch(broken={})
    for job in ("57_0", "57_1"):
        fake_slurm.set(job, accounted=None)
    entries = watch.turn()
    assert [entry.cause for entry in entries] == [Death.CANCELLED, Death.EXCEPTION, None]
    assert sent(fake_slurm) == 1, "nothing was submitted again"


def test_a_banner_of_sbatch_is_not_its_answer(cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm) -> None:
    fake_slurm.switch(banner=["Welcome! Maintenance of job 4711 on Monday", "4712 users"])
    assert states(Watch(cells, cluster, Selection())) == [State.QUEUED] * 3
    assert {record.job for cell in cells if (record := cell.folder.submitted())} == {"57_0", "57_1", "57_2"}
    assert {record.cluster_name for cell in cells if (record := cell.folder.submitted())} == {"test"}


def test_a_second_cluster_on_the_same_files(
    watch: Watch, cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows nothing of the other's jobs: those that live are left alone, those that wait are waited for."""
    running, waiting, free = cells
    claim(running, job="57_0")
    change_attempt(running, place="another host", host="n1")
    free.folder.submitted_file.unlink()
    monkeypatch.setattr(facts, "name", lambda: "other")
    fake_slurm.add("57_0", "57_1", name="of-a-stranger")
    there = Watch(cells, cluster, Selection())
    entries = there.turn()
    assert [entry.state for entry in entries] == [State.RUNNING, State.QUEUED, State.QUEUED]
    assert entries[1].detail == "job 57_1; job 57_1 is one of the cluster test, and this is other"
    assert there.silence is None, "the third, which was never sent, is submitted here"
    assert [record.cluster_name for cell in cells if (record := cell.folder.submitted())] == ["test", "test", "other"]
    assert not there.over(entries)
    finish(waiting)
    assert there.turn()[1].state is State.DONE


def test_a_launcher_that_died_on_another_cluster_before_it_noted_its_jobs(
    cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm, tmp_path: Path
) -> None:
    """Whether they were sent is known there: nothing of them is submitted here, and why is said."""
    folder = tmp_path / "runs/sweeps/toy/submissions"
    chosen = [ToSubmit(cell) for cell in cells[:2]]
    made = write_submission(folder, str(tmp_path / "runs"), "gta-toy", 1, chosen, "other")
    there = Watch(cells, cluster, Selection())
    entries = there.turn()
    assert [entry.state for entry in entries] == [State.NEVER_RUN, State.NEVER_RUN, State.QUEUED]
    assert rows(entries)[0].what == f"the submission {made.name} is one of the cluster other, and this is test"
    finish(cells[2])
    assert not there.over(there.turn())
    made.record("57")  # what the next launcher does there
    assert states(there) == [State.QUEUED, State.QUEUED, State.DONE]
    assert sent(fake_slurm) == 1


def test_an_id_that_came_round_again_is_not_our_job(watch: Watch, fake_slurm: FakeSlurm) -> None:
    fake_slurm.set("57_1", name="of-a-stranger", state="RUNNING")
    entries = watch.turn()
    assert [entry.state for entry in entries] == [State.QUEUED] * 3
    assert entries[1].job == "60", "submitted again: ours is gone"
    assert sent(fake_slurm) == 2


def test_other_clusters_are_refused_before_anything_is_sent(
    cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_CLUSTERS", "gpu2")
    with pytest.raises(UserError, match="SBATCH_CLUSTERS=gpu2"):
        Watch(cells, cluster, Selection()).turn()
    assert sent(fake_slurm) == 0


def test_a_cell_that_is_cancelled_and_whose_job_nobody_sees_is_not_submitted_again(
    watch: Watch, cells: list[Cell], fake_slurm: FakeSlurm
) -> None:
    fake_slurm.switch(up=False)
    cancelled(cells[0])
    assert states(watch) == [State.CANCELLED, State.QUEUED, State.QUEUED]
    fake_slurm.switch(up=True)
    assert states(watch) == [State.CANCELLED, State.QUEUED, State.QUEUED]
    assert sent(fake_slurm) == 1


def test_a_person_may_ask_for_a_cell_of_which_nobody_knows_anything(
    watch: Watch, cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm
) -> None:
    """An accounting may call a job RUNNING for ever; the controller says that it is over."""
    fake_slurm.set("57_1", state="FAILED", accounted="RUNNING", forgotten=True)
    assert states(watch)[1] is State.UNKNOWN
    again = Watch(cells, cluster, Selection(again=True, cells=(cells[1].signature,)))
    assert states(again) == [State.QUEUED] * 3
    assert states(again) == [State.QUEUED] * 3
    assert sent(fake_slurm) == 2, "once"
    silent = replace(reconcile(cells)[0], state=State.UNKNOWN, unknown=Unknown("Slurm does not answer", silent=True))
    with pytest.raises(UserError, match="nobody knows"):
        Selection(again=True, cells=(cells[0].signature,)).of([silent])


def test_a_retry_whose_sbatch_was_not_answered_is_sent_once_and_cancelled_for_good(
    cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm
) -> None:
    failed(cells[0], attempt=0)
    again = Watch(cells[:1], cluster, Selection(again=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slurm, "find_job", lambda name: None)
        fake_slurm.switch(crash_after_sbatch=True)
        again.turn()
        assert again.silence
    fake_slurm.switch(crash_after_sbatch=False)
    assert states(again) == [State.QUEUED], "found by its name"
    fake_slurm.set("57", state="CANCELLED")
    cancelled(cells[0])
    assert states(again) == [State.CANCELLED]
    assert states(again) == [State.CANCELLED]
    assert sent(fake_slurm) == 1


def test_another_launcher_doubts_as_long_what_sbatch_was_maybe_given(
    cells: list[Cell], cluster: SlurmCluster, fake_slurm: FakeSlurm, tmp_path: Path
) -> None:
    """Of two submissions whose launchers died, one has no script: that one was never sent."""
    folder, runs = tmp_path / "runs/sweeps/toy/submissions", str(tmp_path / "runs")
    maybe = write_submission(folder, runs, "gta-toy", 1, [ToSubmit(cells[0])], "test")
    write_submission(folder, runs, "gta-toy", 1, [ToSubmit(cells[1])], "test")
    (maybe.folder / "sbatch.sh").touch()
    again = Watch(cells[:1], cluster, Selection(again=True))
    assert again.doubt == Unknown(f"sbatch did not answer, and job {maybe.name} is not seen yet"), "retry says so"
    there = Watch(cells[:2], cluster, Selection())
    assert states(there) == [State.NEVER_RUN, State.QUEUED]
    replace(maybe, time=maybe.time - submitting.SBATCH_SECONDS - DOUBT_SECONDS).write(maybe.folder / "submission.json")
    assert states(there)[1] is State.QUEUED
    assert states(there) == [State.QUEUED] * 2
    assert sent(fake_slurm) == 2
