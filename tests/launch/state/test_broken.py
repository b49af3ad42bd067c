"""A broken record is one cell's trouble: it is named on that cell's line, and takes no command down."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cli.composing import grid
from launch.show import gc as garbage
from launch.show.rows import rows
from launch.slurm.reconcile import reconcile
from launch.state.ledger import State
from launch.submit import price
from launch.submit.selection import Selection
from launch.submit.watch import Watch
from tests.helpers.broken import BREAKAGES, RECORDS, spoil
from tests.helpers.cells import attempt, cancelled, claim, failed, finish, submitted
from tests.helpers.played import Played
from tests.helpers.program import Run


def with_record(cell: Cell, record: str) -> None:
    """A cell that was stopped, with this record among the others."""
    submitted(cell, "57", cluster="local")
    claim(cell, job="57").end("interrupted")
    made = {"failure.json": failed, "cancelled.json": cancelled, "result.json": finish}
    if record in made:
        made[record](cell)  # type: ignore[operator]


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_it_is_named_and_the_others_go_on(cells: list[Cell], record: str, breakage: str) -> None:
    hurt, done, never = cells
    with_record(hurt, record)
    attempt(done, "9000101", "done")
    spoil(hurt.folder, record, breakage)
    cluster = Played()
    watch = Watch(cells, cluster, Selection("all"))
    entry, *others = watch.first
    assert [other.state for other in others] == [State.DONE, State.NEVER_RUN]
    path = hurt.folder.path / record
    assert str(path) in entry.detail
    line = rows(watch.first)[0]
    assert str(path) in line.what
    assert garbage.plan(watch.first, "toy").pieces == []
    assert "1 cell" in price.describe(watch.wanted(watch.first))
    watch.turn()
    assert cluster.submitted == [never.signature]
    if not record.startswith("attempts/"):
        assert (entry.state, line.state) == (State.BROKEN, "broken")
        assert not watch.turn()[0].attempts > 1
        return
    assert entry.state is State.RUNNING, "it may live: its record may be on its way"
    os.utime(path, (0, 0))
    (later, *_) = reconcile(cells)
    assert later.state is State.RESUMABLE
    assert str(path) in later.detail, "it goes on as after any death, and why is said"


def test_what_was_removed_is_written_anew(cells: list[Cell]) -> None:
    attempt(cells[0], "9000101", "done")
    cells[0].folder.identity_file.unlink()  # as the sentence advises
    Watch(cells, Played(), Selection())
    assert cells[0].folder.identity() is not None


@pytest.mark.slow
def test_commands_over_many_cells(say: Run, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep=shapes", *small, "method=supervised", "seed=range(0,8)"]
    *hurt, well, done = grid(words)[1]
    for cell, record, breakage in zip(hurt, RECORDS, BREAKAGES, strict=True):
        cell.write()
        with_record(cell, record)
        spoil(cell.folder, record, breakage)
    done.write()
    finish(done, miou=71.25125)
    board = say("status", *words, "--json")
    assert board.returncode == 0, board.stderr
    shown = json.loads(board.stdout)
    assert shown["counts"] == {"broken": 5, "running": 1, "never run": 1, "done": 1}
    lines = {line["signature"]: line for line in shown["cells"]}
    for cell, record in zip(hurt, RECORDS, strict=True):
        assert str(cell.folder.path / record) in lines[cell.signature]["what"]
    assert lines[done.signature]["miou"] == 71.25125

    os.utime(hurt[-1].folder.attempt_file(1), (0, 0))
    planned = say("plan", *words)
    assert planned.returncode == 0, planned.stderr
    assert "5 broken; multirun would run 2" in planned.stdout
    cleaned = say("gc", *words, "--list")
    assert cleaned.returncode == 0, cleaned.stderr
    assert "5 cells that are broken: nothing of them is touched" in cleaned.stdout
    assert "all folders of jobs stay" in cleaned.stdout
    made = say("table", *words)
    assert (made.returncode, "MLflow is not up to date" in made.stderr) == (1, True), made.stderr
    assert "71.25" in made.stdout, "the table is there all the same"
    assert "cell.json" in made.stdout
    sent = say("sync", *words)
    assert sent.returncode == 1
    assert "result.json is not text" in sent.stdout
    for command in ("logs", "cancel", "show"):
        for cell in [*hurt, well]:
            answer = say(command, cell.signature, *words)
            assert answer.returncode in (0, 1, 2)
            assert "Traceback" not in answer.stderr
    assert (
        say("logs", "supervised/1_5/seed7", f"paths.runs={tmp_path / 'runs'}").stderr.count("cell.json is empty") == 1
    )

    only = [*words[:-1], "seed=0,7"]
    ended = say("multirun", *only)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "broken: supervised 1/5 seed 0" in ended.stdout
    assert "cell.json is empty: remove it; the next multirun of its grid writes it anew" in ended.stdout
