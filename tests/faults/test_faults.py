"""The drill itself: a selection of its faults comes right, and what is wrong is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import drill, expected, user
from tests.faults.drill import Book, Outcome
from tests.faults.kinds import KINDS
from tests.faults.world import World
from tests.helpers.program import ROOT

SEED = "501"  # by which all of these come to grids of one cell, which are the quickest: `make drill` has the others
# one that kills, after which `gta gc` has something to remove, and one of damage
SELECTION = ("kill -9 of a cell", "a record broken")


@pytest.mark.slow
def test_a_selection_of_faults_comes_right(tmp_path: Path) -> None:
    kinds = [word for name in SELECTION for word in ("--kind", name)]
    command = [sys.executable, "-m", "tests.faults", "--seed", SEED, "--each", "--json", "--jobs", "1", *kinds]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, env={**os.environ}, check=False
    )
    outcomes = json.loads(done.stdout)["outcomes"]
    assert {one["kind"] for one in outcomes} == set(SELECTION)
    assert all(one["happened"] for one in outcomes)
    assert [one for one in outcomes if one["outcome"] != "well"] == []
    assert done.returncode == 0, done.stderr


def test_faults_come_by_their_seed_and_all_kinds_among_the_first() -> None:
    count = sum(kind.weight for kind in KINDS)
    first = list(drill.planned(7, count))
    assert {kind.name for _, kind in first} == {kind.name for kind in KINDS}
    assert list(drill.planned(7, count)) == first
    assert list(drill.planned(8, count)) != first
    assert list(drill.planned(7, 3 * count))[:count] == first, "more faults leave the first ones as they are"
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_a_drill_that_was_ended_goes_on(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl")
    book.add(Outcome(1, 0, "a kind", "well"))
    book.add(Outcome(1, 1, "a kind", "failed", why="why"))
    with open(book.path, "a") as file:
        file.write('{"seed": 1, "number": 2, "ki')  # the end tore it
    assert {number: one.outcome for number, one in Book(book.path).outcomes.items()} == {0: "well", 1: "failed"}


def journal(folder: Path, *lines: tuple[str, int]) -> Path:
    """A journal of one value an iteration; ("resumed", 4) is an event."""
    folder.mkdir(parents=True)
    text = ""
    for kind, iteration in lines:
        line = {"time": 1e9 + 0.5, "iteration": iteration}
        line |= {"kind": "metrics", "values": {kind: 1.0}} if kind == "loss" else {"kind": "event", "event": kind}
        text += json.dumps(line) + "\n"
    (folder / "journal.jsonl").write_text(text)
    return folder


def test_work_done_twice_is_found(tmp_path: Path) -> None:
    well = journal(tmp_path / "a", ("started", 0), ("loss", 1), ("loss", 2), ("resumed", 1), ("loss", 2), ("loss", 3))
    assert list(expected.done_once(well)) == []
    twice = journal(tmp_path / "b", ("started", 0), ("loss", 1), ("loss", 2), ("loss", 2))
    assert "twice" in " ".join(expected.done_once(twice))
    before = journal(tmp_path / "c", ("started", 0), ("loss", 1), ("resumed", 4), ("loss", 2))
    assert "twice" in " ".join(expected.done_once(before))


def test_attempts_that_overlap_are_found(tmp_path: Path) -> None:
    cell = journal(tmp_path / "a", ("started", 0))
    (cell / "attempts").mkdir()
    for number, began, ended in ((1, 100.0, 110.0), (2, 105.0, 120.0)):
        (cell / "attempts" / f"{number:04d}.json").write_text(json.dumps({"time": began, "end_time": ended}))
    assert "attempt 0002" in " ".join(expected.done_once(cell))
    assert list(expected.done_once(cell, {"clock"})) == [], "of a clock that was set back the times say nothing"
    (cell / "attempts" / "0001.json").write_text("[]")
    assert list(expected.done_once(cell)) == []


def test_the_note_of_a_rank_that_is_silent_is_no_attempt(tmp_path: Path) -> None:
    made = World(tmp_path)
    cell = journal(made.runs / "cells" / "a", ("started", 0))
    (cell / "attempts").mkdir()
    (cell / "attempts" / "0001.json").write_text(json.dumps({"time": 100.0, "end_time": 110.0}))
    before = drill._attempts(made)
    (cell / "attempts" / "0001.silent-0.json").write_text(json.dumps({"since": 105.0, "rank": 0}))
    assert list(expected.done_once(cell)) == []
    assert drill._attempts(made) == before
    (cell / "attempts" / "0001.silent-0.json").write_text("")
    assert not user._broken_attempts(made)


@pytest.mark.slow
def test_new_files_are_seen_late_by_others_only(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from tests.faults import late
root = Path(sys.argv[1])
late.install(str(root / "world"), str(root / "names"), 3600.0)
(root / "world").mkdir()
late.made(root / "world" / "mine")
(root / "world" / "mine").write_text("")
assert (root / "world" / "mine").exists()
if os.fork() == 0:
    late.made(root / "world" / "other")
    (root / "world" / "other").write_text("")
    os._exit(0)
os.wait()
assert not (root / "world" / "other").exists()
assert os.listdir(root / "world") == ["mine"], os.listdir(root / "world")
assert [entry.name for entry in os.scandir(root / "world")] == ["mine"]
late.install(str(root / "world"), str(root / "names"), 0.0)
assert (root / "world" / "other").exists()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
