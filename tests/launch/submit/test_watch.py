"""A launcher's view of its jobs, with a cluster that the test plays: cells die without a word, here and elsewhere."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from gta.cell import Cell
from launch.state import attempts, submission
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry, State
from launch.state.submission import Wanted
from launch.submit.selection import Selection
from launch.submit.watch import Watch
from tests.helpers.cells import config, split


class Played:
    """Jobs that begin an attempt on another host, and die at once."""

    name = "played"
    at_once = 0

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def tend(self, entries: Sequence[Entry]) -> None:
        pass

    def recover(self, runs: Path) -> None:
        pass

    def submit(self, cells: Sequence[Wanted]) -> list[str]:
        for wanted in cells:
            mine = attempts.claim(wanted.cell.folder, wanted.after)
            assert mine is not None
            mine.path.write_text(json.dumps({**mine.fields, "place": "another host", "host": "n1"}))
            self.jobs.append(f"{len(self.jobs) + 1}")
            submission.note(
                wanted.cell.folder, self.jobs[-1], self.name, "/log", wanted.after, wanted.asked, time.time()
            )
        return self.jobs[-len(cells) :]

    def held(self, jobs: Collection[str]) -> Mapping[str, HeldJob]:
        return {}

    def cancel(self, jobs: Collection[str]) -> None:
        pass


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    made = config()
    made.paths.runs = str(tmp_path)
    return Cell.of(made, split())


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
        last = attempts.latest(cell.folder)
        assert last is not None
        long_ago = time.time() - attempts.DEAD_SECONDS - 1
        os.utime(last.path, (long_ago, long_ago))
    entries = watch.turn()
    assert len(cluster.jobs) == cell.config.site.max_idle_attempts
    assert watch.over(entries)
    assert "gave up: 5 attempts without progress" in entries[0].reason


def test_an_attempt_that_cannot_be_read_ages_and_is_followed(cell: Cell) -> None:
    path = cell.folder / "attempts" / "0001.json"
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert attempts.claim(cell.folder) is None, "it may be on its way"
    os.utime(path, (0, 0))
    later = attempts.claim(cell.folder)
    assert later is not None
    assert later.number == 2
