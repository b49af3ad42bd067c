"""The cell's folder: each record comes back as it was written, and a broken one is one sentence with its remedy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gta.cellfolder import (
    DEAD_SECONDS,
    Attempt,
    BrokenRecord,
    Cancelled,
    CellFolder,
    Death,
    Failure,
    Identity,
    NetworkScores,
    NewOrder,
    Orders,
    Result,
    Score,
    Submitted,
    cell_folders,
    process_start,
    this_place,
)
from tests.helpers.broken import BREAKAGES, RECORDS, spoil

SCORE = Score(iteration=8, miou=71.25125, iou=[90.0, None, 52.5])
WRITTEN = {
    "cell.json": Identity(
        signature="feed", method="gta", label="GTA", dataset="voc", split="1/8", split_family="classic", labels=1,
        unlabeled=2, val=3, ratio="1/3", seed=0, digests={"val": "0" * 64}, params={"schedule.lr": "0.1"}, list="ours",
        created=1.5,
    ),
    "submitted.json": Submitted(job="57_3", cluster="slurm", log="/log", time=2.5, after=1, tries=2, base=1),
    "failure.json": Failure(attempt=1, error="boom", time=3.5, cause=Death.MEMORY, rank=1, log="/log"),
    "cancelled.json": Cancelled(time=4.5, by="ada", job="57_3"),
    "order.json": Orders(orders=[NewOrder(number=1, iteration=4, asked=6.5, by="ada"), NewOrder(number=2)]),
    "result.json": Result(
        signature="feed", iteration=8, headline="student", evaluation="original size", classes=["a", "b", "c"],
        networks={"student": NetworkScores(last=SCORE, best=replace(SCORE, iteration=4))}, seconds=9.5, commit=None,
        finished=5.5, orders=[NewOrder(number=1, iteration=4, asked=6.5, by="ada")],
    ),
    "attempts/0001.json": Attempt(
        place="here", host="n1", pid=4, started="77", time=1.0, job="57_3", restart=1, log="/log", node="n1", began=0,
        saved=4, ended="failed", end_time=2.0, why="time limit", error="boom", environment={"gpus": ["A100"]},
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    """A cell with every record."""
    for name, record in WRITTEN.items():
        record.write(tmp_path / "cells/feed" / name)
    return CellFolder(tmp_path / "cells/feed")


def read(folder: CellFolder, record: str) -> object:
    readers = {
        "cell.json": folder.identity,
        "submitted.json": folder.submitted,
        "failure.json": folder.failure,
        "cancelled.json": folder.cancelled,
        "result.json": folder.result,
        "attempts/0001.json": folder.latest_attempt,
    }
    return readers[record]()


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_comes_back_as_it_was_written(folder: CellFolder, record: str) -> None:
    expected = WRITTEN[record]
    if isinstance(expected, Attempt):
        expected = replace(expected, number=1, beat=(folder.path / record).stat().st_mtime)
    assert read(folder, record) == expected
    written = json.loads((folder.path / record).read_text())
    assert written.pop("version") == 1
    (folder.path / record).write_text(json.dumps({**written, "of a later program": True}))
    if not isinstance(expected, Attempt):
        assert read(folder, record) == expected, "without a version it is of the first; what is unknown is passed over"


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_record_is_one_sentence(folder: CellFolder, record: str, breakage: str) -> None:
    spoil(folder, record, breakage)
    if record.startswith("attempts/"):
        attempt = folder.latest_attempt()
        assert attempt is not None
        assert attempt.broken
        said = attempt.broken
        assert attempt.alive(), "it may be on its way"
        os.utime(folder.path / record, (0, 0), follow_symlinks=False)
        later = folder.latest_attempt()
        assert later is not None
        assert (later.number, later.alive()) == (1, False)
    else:
        with pytest.raises(BrokenRecord) as raised:
            read(folder, record)
        said = str(raised.value)
    assert said.startswith(f"{folder.path / record} ")
    assert said.endswith(".")
    assert "\n" not in said
    assert ": " in said, "what is wrong, and what to do"


@pytest.mark.parametrize(
    ("record", "change", "said"),
    [
        ("failure.json", {"cause": 5}, "5 is not a valid Death"),
        ("failure.json", {"time": 1e16}, r"time is 1e\+16"),
        ("attempts/0001.json", {"environment": {"gpus": 5}}, "environment.gpus is no list of names"),
        ("attempts/0001.json", {"time": None}, "has no time"),
        ("failure.json", {"attempt": "1"}, "attempt is '1'"),
        ("submitted.json", {"tries": True}, "tries is True"),
        ("cell.json", {"digests": {"val": 5}}, "digests.val is 5"),
        ("cell.json", {"signature": "beef"}, "is of the cell beef, not of this one"),
        ("result.json", {"signature": "beef"}, "is of the cell beef, not of this one"),
        ("result.json", {"headline": "teacher"}, "no network teacher"),
        ("result.json", {"networks": {"student": {"last": {}}}}, "has no networks.student.last.iteration"),
    ],
)
def test_what_does_not_fit_is_named(folder: CellFolder, record: str, change: dict[str, object], said: str) -> None:
    path = folder.path / record
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    if record.startswith("attempts/"):
        found = folder.latest_attempt()
        assert found is not None
        assert re.search(said, found.broken or "")
        return
    with pytest.raises(BrokenRecord, match=said):
        read(folder, record)


@pytest.mark.parametrize(
    ("error", "read_back"),
    [
        ("a null \0, two \0\0.", "a null ?, two ??."),
        (r"the text \u0000 of a path C:\u0000", r"the text \u0000 of a path C:\u0000"),
        ("a backslash and a null: \\\0", "a backslash and a null: \\?"),
        ("half a character \udcff", "half a character ?"),
    ],
)
def test_whatever_an_error_says_is_a_record_that_can_be_read(tmp_path: Path, error: str, read_back: str) -> None:
    Failure(attempt=1, error=error, time=1.0).write(tmp_path / "failure.json")
    failure = CellFolder(tmp_path).failure()
    assert failure is not None
    assert failure.error == read_back


def test_a_cause_of_a_newer_version_waits_for_a_person(folder: CellFolder) -> None:
    folder.failure_file.write_text(json.dumps({"attempt": 1, "error": "a ray", "time": 1.0, "cause": "cosmic ray"}))
    found = folder.failure()
    assert found is not None
    assert (found.cause, found.error) == (Death.EXCEPTION, "a ray")


def test_an_empty_folder_answers_none(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path)
    assert [read(folder, record) for record in RECORDS] == [None] * len(RECORDS)
    assert (folder.done, folder.frozen, folder.settings(), folder.verdict()) == (False, False, None, None)
    assert cell_folders(tmp_path) == []


def test_what_still_counts(folder: CellFolder) -> None:
    folder.cancelled_file.unlink()
    failure = folder.failure()
    assert folder.last_failure() == folder.verdict() == failure
    replace(WRITTEN["submitted.json"], time=6.0).write(folder.submitted_file)
    assert folder.verdict() is None, "it was submitted since"
    assert folder.last_failure() == failure
    Attempt(time=1.0).write(folder.attempt_file(2))
    assert folder.last_failure() is None, "history"
    Cancelled(time=7.0, by="ada").write(folder.cancelled_file)
    ended = folder.verdict()
    assert isinstance(ended, Cancelled)
    assert ended.by == "ada"
    replace(WRITTEN["submitted.json"], time=8.0).write(folder.submitted_file)
    assert folder.cancelled() is None


def test_the_config_as_plain_python(folder: CellFolder) -> None:
    folder.config_file.write_text("seed: 3\nsite: {cells_per_gpu: 2}\n")
    assert folder.settings() == {"seed": 3, "site": {"cells_per_gpu": 2}}
    for text in ("", "a: [", "- 1", "a: &a {b: *a}", "a: 2026-99-99"):
        folder.config_file.write_text(text)
        with pytest.raises(BrokenRecord, match="is not the config of a cell" if text else "is empty"):
            folder.settings()


def test_who_lives() -> None:
    mine = Attempt(place=this_place(), pid=os.getpid(), started=process_start(os.getpid()))
    assert mine.alive()
    assert not replace(mine, started="1").alive(), "another process with that number"
    assert not replace(mine, ended="done").alive()
    elsewhere = replace(mine, place="elsewhere", beat=time.time())
    assert elsewhere.alive()
    assert not replace(elsewhere, beat=time.time() - DEAD_SECONDS - 1).alive()


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, gta.cellfolder\nsys.exit(any(n in sys.modules for n in ('torch', 'hydra', 'numpy', 'yaml')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
