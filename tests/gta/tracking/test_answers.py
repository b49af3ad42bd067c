"""What an SQLite store answered is not asked again while it is as it was; and at once when it is not."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from analysis import own, runs
from gta.tracking import answers, store
from gta.tracking import sync as tracking
from tests.helpers.tracked import finish, make_cell


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time that MLflow was asked."""
    words: list[str] = []
    real = store.connect

    def connect(uri: str):
        words.append("asked")
        return real(uri)

    monkeypatch.setattr(store, "connect", connect)
    return words


@pytest.fixture
def sweep(tmp_path: Path, uri: str) -> str:
    cell = make_cell(tmp_path / "cells")
    finish(cell)
    assert tracking.sync([cell], uri, "kept", rows=["supervised", "gta"]).problems == []
    return "kept"


def test_a_store_that_nobody_wrote_to_is_not_asked_again(uri, sweep, asked):
    first, order = runs.load(uri, sweep=sweep), own.row_order(uri, sweep)
    assert len(first) == 2
    assert order == ["supervised", "gta"]
    asked.clear()
    again = runs.load(uri, sweep=sweep)
    assert repr(again.to_dict("records")) == repr(first.to_dict("records"))
    assert again.dtypes.equals(first.dtypes)
    assert own.row_order(uri, sweep) == order
    assert asked == []
    runs.load(uri, sweep="another")
    assert asked, "that is another question"


def test_what_somebody_changes_in_mlflow_is_seen_at_once(uri, sweep, asked, client):
    run_id = runs.load(uri, sweep=sweep)["run_id"][0]
    client.set_tag(run_id, "gta.label", "renamed")
    assert "renamed" in set(runs.load(uri, sweep=sweep)["label"])
    client.delete_run(run_id)
    assert run_id not in set(runs.load(uri, sweep=sweep)["run_id"])
    client.restore_run(run_id)
    assert run_id in set(runs.load(uri, sweep=sweep)["run_id"])


@pytest.mark.parametrize("kind", ["journal", "wal"])
def test_a_store_that_may_have_more_than_its_file_is_asked(uri, sweep, asked, kind):
    runs.load(uri, sweep=sweep)
    asked.clear()
    path = store.sqlite_path(uri)
    beside = Path(f"{path}-{kind}")
    beside.touch()
    runs.load(uri, sweep=sweep)
    beside.unlink(missing_ok=True)
    assert asked


def test_a_link_to_a_store_has_its_journal_beside_the_target(uri, sweep, asked, tmp_path):
    link = tmp_path / "elsewhere" / "linked.db"
    link.parent.mkdir()
    link.symlink_to(store.sqlite_path(uri))
    linked = f"sqlite:///{link}"
    runs.load(linked, sweep=sweep)
    asked.clear()
    runs.load(linked, sweep=sweep)
    assert asked == []
    beside = Path(f"{store.sqlite_path(uri)}-journal")
    beside.touch()
    runs.load(linked, sweep=sweep)
    beside.unlink(missing_ok=True)
    assert asked


def test_the_newest_answers_are_kept(uri, sweep, monkeypatch):
    monkeypatch.setattr(answers, "ANSWERS", 3)
    for number in range(6):
        runs.load(uri, sweep=f"question {number}")
    path = store.sqlite_path(uri)
    kept = [json.loads(file.read_bytes())["question"] for file in Path(f"{path}.answers").iterdir()]
    assert {number for number in range(6) if any(f"question {number}" in question for question in kept)} == {3, 4, 5}


def test_another_file_in_its_place_is_asked(uri, sweep, asked, tmp_path):
    """As a backup that is put back: it may have counted as many transactions."""
    path = store.sqlite_path(uri)
    shutil.copy2(path, tmp_path / "copy.db")
    runs.load(uri, sweep=sweep)
    asked.clear()
    shutil.copy2(tmp_path / "copy.db", path)  # the same content, size and time of writing
    runs.load(uri, sweep=sweep)
    assert asked


def test_what_was_written_while_it_was_asked_is_not_missed(uri, sweep, client):
    run_id = runs.load(uri, sweep=sweep)["run_id"][0]

    def meanwhile():
        found = client.get_run(run_id)
        client.set_tag(run_id, "written", "meanwhile")
        return [found]

    assert "written" not in answers.runs(uri, "one", meanwhile)[0].data.tags
    assert "written" in answers.runs(uri, "one", lambda: [client.get_run(run_id)])[0].data.tags


def test_a_broken_or_foreign_answer_is_as_none(uri, sweep, asked):
    first = repr(runs.load(uri, sweep=sweep).to_dict("records"))
    folder = store.sqlite_path(uri).with_name(f"{store.sqlite_path(uri).name}.answers")
    for text in ("", "[]", "{", '{"stamp": 1}', '{"runs": [{}]}'):
        for file in folder.iterdir():
            file.write_text(text)
        asked.clear()
        assert repr(runs.load(uri, sweep=sweep).to_dict("records")) == first
        assert asked


def test_who_cannot_write_beside_the_store_reads_it_all_the_same(uri, sweep, asked):
    path = store.sqlite_path(uri)
    shutil.rmtree(f"{path}.answers", ignore_errors=True)
    Path(f"{path}.answers").write_text("in the way")
    assert len(runs.load(uri, sweep=sweep)) == len(runs.load(uri, sweep=sweep)) > 0
    assert len(asked) == 2
    Path(f"{path}.answers").unlink()


def test_sqlite_counts_every_transaction_in_the_head(tmp_path):
    """What all of this stands on."""
    path = tmp_path / "a.db"
    seen = []
    for number in range(3):
        with sqlite3.connect(path) as database:
            database.execute(f"create table t{number} (a)")
        database.close()
        seen.append(answers._stamp(f"sqlite:///{path}")[2])
    assert len(set(seen)) == 3
