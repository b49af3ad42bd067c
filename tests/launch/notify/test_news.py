"""What a launcher tells of its grid: once, whoever else looks at it; a message for what happens at the same time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from gta.cellfolder import Death
from gta.notices import Notified
from gta.sweep import Sweep
from launch.notify import news
from launch.notify.news import News, of_launcher
from launch.notify.watchers import Place, watchers
from launch.state.ledger import ledger
from launch.submit.selection import Selection
from launch.submit.watch import STUCK_LOOKS, Watch
from tests.helpers.cells import claim, finish, submitted
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.notified import SWEEP, fail, listen, look_once, of_site, over
from tests.helpers.notified import told as heard
from tests.helpers.played import Played


def test_a_failure_is_told_once_with_its_facts(tmp_path: Path) -> None:
    cells = of_site(tmp_path)
    finish(cells[1])
    fail(cells[0], "ValueError: \x1b[31mboom token=abc123 in\nline 2")
    look_once(cells)
    (fact,) = heard(tmp_path)
    name = f"gta/1/8/seed0 ({cells[0].signature[:8]})"
    assert fact["title"] == f"toy: {name} failed: exception: ValueError: \\x1b[31mboom token=*** in line 2"
    assert fact["text"] == f"{fact['title']}\nlog: /log/57_0.out"
    told_facts = {key: fact[key] for key in ("event", "sweep", "cells", "log", "total", "done", "failed")}
    assert told_facts == {
        "event": "failure", "sweep": "toy", "cells": name, "log": "/log/57_0.out", "total": "2", "done": "1",
        "failed": "1",
    }  # fmt: skip
    look_once(cells)
    assert len(heard(tmp_path)) == 1, "another launcher does not tell it again"
    fail(cells[0], job="58")
    look_once(cells)
    assert len(heard(tmp_path)) == 2, "a retry that fails is another event"
    found = Notified.read(cells[0].folder.notified_file)
    assert found is not None
    assert [(notice.event, notice.sent) for notice in found.notices] == [("failure", True)] * 2


def test_cells_that_fail_together_are_one_message(tmp_path: Path) -> None:
    cells = of_site(tmp_path, 14)
    for cell in cells[:13]:
        fail(cell)
    look_once(cells)
    (fact,) = heard(tmp_path)
    assert fact["title"] == "toy: 13 cells failed"
    lines = fact["text"].splitlines()
    assert lines[1].startswith("gta/1/8/seed0 (")
    assert lines[-1] == "... and 3 more"
    assert len(lines) == 12


def test_cells_that_fail_one_after_the_other_are_told_in_a_minute(tmp_path: Path) -> None:
    cells, now = of_site(tmp_path, 3), [0.0]
    made = News(cells, SWEEP, clock=lambda: now[0])
    for seconds, cell in zip((0.0, 5.0, 30.0), cells, strict=True):
        now[0] = seconds
        fail(cell)
        listen(made, cells)
    assert len(heard(tmp_path)) == 1
    now[0] = news.PAUSE_SECONDS
    listen(made, cells)
    assert [fact["title"].split(") ")[-1] for fact in heard(tmp_path)][1:] == ["toy: 2 cells failed"]


def test_what_is_about_to_run_again_is_no_news(tmp_path: Path) -> None:
    cells = of_site(tmp_path)
    fail(cells[0])
    made = News(cells, SWEEP)
    made.look(ledger(cells), asked={cells[0].signature})
    made.close()
    over(made)
    assert heard(tmp_path) == []


def test_the_end_is_told_once_for_the_same_states(tmp_path: Path) -> None:
    cells = of_site(tmp_path)
    finish(cells[0])
    fail(cells[1])
    for _ in range(2):
        entries = ledger(cells)
        with of_launcher(cells, SWEEP) as made:
            made.end(entries)
        over(made)
    (fact,) = heard(tmp_path)
    assert (fact["event"], fact["title"]) == ("end", "toy is over: 1 of 2 cells done, 1 failed")
    assert fact["text"].splitlines()[1].endswith("failed: ValueError: boom")
    finish(cells[1])
    with of_launcher(cells, SWEEP) as made:
        made.end(ledger(cells))
    over(made)
    assert [fact["title"] for fact in heard(tmp_path)][1:] == ["toy is over: 2 of 2 cells done"]
    variant = Sweep("toy", "seed=0")
    with of_launcher(cells, variant) as made:
        made.end(ledger(cells))
    over(made)
    assert len(heard(tmp_path)) == 3, "a variant is a sweep of its own"


def test_only_what_is_asked_for_is_told(tmp_path: Path) -> None:
    cells = of_site(tmp_path, notify_on=["end"])
    fail(cells[0])
    look_once(cells)
    assert heard(tmp_path) == []
    silent = of_site(tmp_path, notify="")
    look_once(silent)
    assert not Place.of(tmp_path / "runs", SWEEP).watching.exists() or not watchers(Place.of(tmp_path / "runs", SWEEP))
    assert heard(tmp_path) == []


def test_a_budget_that_forbids_is_told_once(tmp_path: Path) -> None:
    cells = of_site(tmp_path)
    for _ in range(2):
        with of_launcher(cells, SWEEP) as made:
            made.budget("The 2 cells to run cost about 12 GPU-hours, above --budget 11", 11.0, ledger(cells))
        over(made)
    (fact,) = heard(tmp_path)
    assert fact["title"] == "toy: The 2 cells to run cost about 12 GPU-hours, above --budget 11"
    assert fact["event"] == "budget"


def test_a_stuck_attempt_is_heard_of_before_its_cell_is_sent_again(tmp_path: Path) -> None:
    (cell,) = of_site(tmp_path, 1)
    mine = claim(cell, job="57")
    submitted(cell, "57", cluster="played")
    mine.end("lost", why=str(Death.STUCK), error="no progress for 30 min; its log has the stack")
    cluster = Played()
    watch = Watch([cell], cluster, Selection())
    made = News([cell], SWEEP)
    watch.heard = made.look
    watch.turn()
    made.close()
    over(made)
    assert cluster.submitted == [cell.signature]
    (fact,) = heard(tmp_path)
    assert fact["event"] == "stuck"
    assert "no progress for 30 min" in fact["title"]


def test_a_process_that_is_silent_for_long_is_stuck(tmp_path: Path) -> None:
    (cell,) = of_site(tmp_path, 1)
    claim(cell)
    (entry,) = ledger([cell])
    for minutes, count in ((29, 0), (31, 1)):
        made = News([cell], SWEEP)
        made.look([replace(entry, silent=time.time() - 60 * minutes)])
        made.close()
        over(made)
        assert len(heard(tmp_path)) == count


def of_held(tmp_path: Path, fake_slurm: FakeSlurm, reason: str) -> tuple[Watch, News]:
    """A watch of one cell whose job does not start, and the news that hears of it."""
    (cell,) = of_site(tmp_path, 1)
    submitted(cell, "57", time.time())
    watch, made = Watch([cell], Played(), Selection()), News([cell], SWEEP)
    watch.heard = lambda entries: made.look(entries, watch.retry, watch.never_start)
    fake_slurm.add("57", reason=reason)
    return watch, made


def test_a_job_that_will_never_start_is_stuck(tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    watch, made = of_held(tmp_path, fake_slurm, "JobHeldAdmin")
    for _ in range(STUCK_LOOKS):
        assert not made.busy
        watch.look(now=True)
    made.close()
    over(made)
    (fact,) = heard(tmp_path)
    assert fact["event"] == "stuck"
    assert "will not start: " in fact["title"]
    assert "JobHeldAdmin" in fact["title"]


def test_a_cell_that_its_user_holds_is_neither_stuck_nor_the_end(tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    watch, made = of_held(tmp_path, fake_slurm, "JobHeldUser")
    for _ in range(STUCK_LOOKS):
        entries = watch.look(now=True)
    assert watch.never_start, "the launcher does not wait for it"
    made.end(entries)
    made.close()
    over(made)
    assert heard(tmp_path) == []
