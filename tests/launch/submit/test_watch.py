"""A launcher's view of its jobs, with a cluster that the test plays: cells die without a word, here and elsewhere."""

from __future__ import annotations

import getpass
import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import DEAD_SECONDS, Death
from gta.locks import Busy
from launch.state import attempts, order
from launch.state.jobs import Unknown
from launch.state.ledger import State
from launch.submit.selection import Selection
from launch.submit.watch import STUCK_LOOKS, Watch
from tests.helpers.cells import (
    change_attempt,
    claim,
    config,
    failed,
    finish,
    last_attempt,
    of_seeds,
    split,
    submitted,
)
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.holding import held
from tests.helpers.played import Played


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell.of(changed(config(), {"paths.runs": str(tmp_path)}), split())


def test_a_cell_that_dies_elsewhere_is_waited_for_and_then_given_up(cell: Cell) -> None:
    cluster = Played()
    watch = Watch([cell], cluster, Selection())
    for deaths in range(cell.config.site.max_idle_attempts):
        watch.turn()
        assert len(cluster.jobs) == deaths + 1
        for _ in range(3):  # its job is gone, and its heartbeat is fresh: nobody knows yet that it is dead
            assert watch.turn()[0].state is State.RUNNING
            assert not watch.over(watch.turn())
        assert len(cluster.jobs) == deaths + 1, "it must not be submitted again meanwhile"
        long_ago = time.time() - DEAD_SECONDS - 1
        os.utime(cell.folder.attempt_file(last_attempt(cell).number), (long_ago, long_ago))
    entries = watch.turn()
    assert len(cluster.jobs) == cell.config.site.max_idle_attempts
    assert watch.over(entries)
    assert "gave up: 5 attempts without progress" in entries[0].reason


def test_a_submission_of_which_nobody_knows_is_looked_for_ever_more_seldom(tmp_path: Path) -> None:
    class Unsure(Played):
        def __init__(self, signature: str) -> None:
            super().__init__()
            self.unknown, self.looks = {signature: Unknown("not seen yet")}, 0

        def recover(self, runs: Path) -> Mapping[str, Unknown]:
            self.looks += 1
            return self.unknown

    unsure, done = of_seeds(2, tmp_path)
    finish(done)
    cluster = Unsure(unsure.signature)
    watch = Watch([unsure, done], cluster, Selection(), itertools.count(1e9, 1.0).__next__)
    for _ in range(600):
        assert not watch.over(watch.turn())
    assert 5 < cluster.looks < 40
    cluster.unknown = {}
    for _ in range(90):
        watch.turn()
    assert cluster.submitted == [unsure.signature]


def test_an_attempt_that_cannot_be_read_ages_and_is_followed(cell: Cell) -> None:
    path = cell.folder.attempt_file(1)
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert attempts.claim(cell.folder) is None, "it may be on its way"
    os.utime(path, (0, 0))
    later = attempts.claim(cell.folder)
    assert later is not None
    assert later.number == 2


def test_jobs_that_nobody_will_start_are_not_watched_for_ever(tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    held, waiting = of_seeds(2, tmp_path)
    for number, cell in enumerate((held, waiting)):
        cell.write()
        submitted(cell, f"57_{number}", time.time())
    fake_slurm.add("57_0", reason="JobHeldUser")
    fake_slurm.add("57_1", reason="Priority")
    later = itertools.count(1e9, 120.0).__next__  # each look is minutes after the one before: no old answer serves
    watch = Watch([held, waiting], Played(), Selection(), later)
    for _ in range(2 * STUCK_LOOKS):
        assert not watch.over(watch.turn()), "the other one will run"
    finish(waiting)
    fake_slurm.set("57_1", state="COMPLETED")
    assert watch.over(watch.turn()), "Slurm will not start what is left"
    fake_slurm.set("57_0", reason="Priority")
    assert not watch.over(watch.turn()), "somebody let it go"
    fake_slurm.set("57_0", reason="BadConstraints")
    assert not watch.over(watch.turn()), "Slurm may say so for a moment"


def test_other_batches_are_asked_of_cells_that_diverged_and_of_them_once(tmp_path: Path) -> None:
    diverged, failed_otherwise, done = grid = of_seeds(3, tmp_path)
    for one, cause in ((diverged, Death.DIVERGED), (failed_otherwise, Death.EXCEPTION)):
        claim(one).end("failed")
        failed(one, "why", time.time(), cause=cause)
    finish(done)

    plain = Watch(grid[:1], Played(), Selection(again=True))
    plain.turn()
    assert diverged.folder.orders() == [], "a plain retry changes no number"
    change_attempt(diverged, ended="failed")
    failed(diverged, "why", time.time() + 1, attempt=2, cause=Death.DIVERGED)

    cluster = Played()
    watch = Watch(grid, cluster, Selection(again=True, new_order=True))
    for _ in range(3):
        watch.turn()
    assert cluster.submitted == [diverged.signature]
    (asked,) = diverged.folder.orders()
    assert (asked.number, asked.iteration, asked.by) == (1, None, getpass.getuser())
    order.ask(diverged.folder)
    assert diverged.folder.orders() == [asked], "it has not begun"
    assert not failed_otherwise.folder.order_file.exists()


def test_a_damaged_order_is_one_cells_trouble(tmp_path: Path) -> None:
    """The new batches of a cell cannot be asked for: its line says so, and the others go out."""
    hurt, later, whole = grid = of_seeds(3, tmp_path)
    for one in grid:
        claim(one).end("failed")
        failed(one, "why", time.time(), cause=Death.DIVERGED)
    hurt.folder.order_file.write_text("{")
    cluster = Played()
    watch = Watch(grid, cluster, Selection(again=True, new_order=True))
    later.folder.order_file.write_text("")  # after the launcher's first look
    entries = watch.turn()
    assert cluster.submitted == [whole.signature]
    told = [(entry.state, entry.detail) for entry in entries[:2]]
    assert told == [(State.DAMAGED, "order.json: not JSON"), (State.DAMAGED, "order.json: empty")]
    assert entries[2].state is not State.DAMAGED


@pytest.mark.slow
def test_a_launcher_that_was_stopped_while_it_submits_holds_up_nobody_for_ever(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gta.locks.STOPPED_SECONDS", 0.1)
    cluster = Played()
    watch = Watch([cell], cluster, Selection())
    with held("lock", tmp_path / ".submit.lock") as other:
        for _ in range(2):
            entries = watch.turn()
            assert not cluster.jobs
            assert not watch.over(entries), "it watches on, and submits later"
        said = capsys.readouterr().err
        assert said.count("Nothing is submitted meanwhile: ") == 1
        assert f"`kill -CONT {other.pid}` lets it go on, `kill -9 {other.pid}` ends it" in said
        with pytest.raises(Busy, match=rf"\(process {other.pid} on .*; then try again\."):
            watch.turn(comes_again=False)  # --no-wait, from cron: these must not pile up
        with pytest.raises(Busy):
            Watch([cell], cluster, Selection())
    watch.turn()
    assert len(cluster.jobs) == 1
