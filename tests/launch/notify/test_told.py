"""An event is claimed by one, before it is told; only a command that failed is tried again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from gta import files
from gta.notices import Notice, Notified
from launch.notify import told
from launch.notify.told import AGAIN_SECONDS, TRIES, Event, claim, settle, untold


@pytest.fixture
def event(tmp_path: Path) -> Event:
    return Event("failure", "failed attempt 1, job 57_0", tmp_path / "cells/a/notified.json", "failed: boom")


def notice(event: Event) -> Notice:
    found = Notified.read(event.file)
    assert found is not None
    known = found.find(event.key)
    assert known is not None
    return known


def long_ago(event: Event) -> None:
    found = Notified.read(event.file)
    assert found is not None
    found.having(replace(notice(event), time=time.time() - AGAIN_SECONDS - 1)).write(event.file)


def test_one_of_many_has_it(tmp_path: Path, event: Event) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: claim(tmp_path, [event]), range(16)))
    assert sorted(len(mine) for mine, _ in answers) == [0] * 15 + [1]
    assert [later for _, later in answers if later] == []
    settle(tmp_path, [event], "")
    assert notice(event).sent is True
    assert claim(tmp_path, [event]) == ([], [])


def test_who_dies_over_it_leaves_it_as_told(tmp_path: Path, event: Event) -> None:
    assert untold([event]) == [event]
    assert claim(tmp_path, [event]) == ([event], [])
    assert notice(event).sent is None
    long_ago(event)
    assert claim(tmp_path, [event]) == ([], []), "rather never than twice"
    assert untold([event]) == []


def test_a_command_that_failed_is_tried_again_a_few_times(tmp_path: Path, event: Event) -> None:
    other = replace(event, key="another")
    for tries in range(1, TRIES + 1):
        assert claim(tmp_path, [event])[0] == [event]
        settle(tmp_path, [event], "exit code 7: no network")
        assert (notice(event).tries, notice(event).sent, notice(event).error) == (
            tries,
            False,
            "exit code 7: no network",
        )
        if tries < TRIES:
            assert claim(tmp_path, [event, other])[1] == [event], "not at once"
            long_ago(event)
    long_ago(event)
    assert claim(tmp_path, [event]) == ([], [])
    assert notice(other).tries == 1, "the events of a file are apart"


def test_a_broken_record_is_written_anew(tmp_path: Path, event: Event) -> None:
    event.file.parent.mkdir(parents=True)
    event.file.write_text("{")
    assert claim(tmp_path, [event])[0] == [event]
    assert notice(event).event == "failure"


def test_what_cannot_be_remembered_is_not_told(tmp_path: Path, event: Event) -> None:
    (tmp_path / "cells").write_text("a file in the place of the folder")
    with pytest.raises(OSError, match="cells"):
        claim(tmp_path, [event])


def test_one_that_cannot_be_remembered_keeps_no_other_back(tmp_path: Path, event: Event) -> None:
    (tmp_path / "a_file").touch()
    broken = replace(event, file=tmp_path / "a_file/notified.json")
    assert claim(tmp_path, [broken, event]) == ([event], [broken])
    with pytest.raises(OSError, match="a_file"):
        claim(tmp_path, [broken, event])


def test_while_another_writes_nothing_is_settled_and_that_is_said(
    tmp_path: Path, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(tmp_path, [event])
    monkeypatch.setattr(told, "LOCK_SECONDS", 0.0)
    with FileLock(tmp_path / ".notify.lock"):
        assert not settle(tmp_path, [event], "exit code 7")
    assert settle(tmp_path, [event], "exit code 7")
    assert notice(event).sent is False


def test_many_events_cost_no_flush_each(tmp_path: Path, event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[object] = []
    monkeypatch.setattr(files, "to_disk", flushed.append)
    claim(tmp_path, [event])
    settle(tmp_path, [event], "")
    assert notice(event).sent is True
    assert flushed == []
