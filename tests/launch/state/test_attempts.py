"""Attempts: of any number of processes that want a cell, one gets it, and a dead owner is found out."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gta.cellfolder import DEAD_SECONDS, Attempt, CellFolder
from launch.state import attempts


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    return CellFolder(tmp_path)


def claim_and_wait(folder: str, barrier, answers) -> None:  # type: ignore[no-untyped-def]
    barrier.wait()
    mine = attempts.claim(CellFolder(Path(folder)))
    answers.put((os.getpid(), mine.number if mine else None))
    time.sleep(60)


def test_of_eight_processes_one_gets_the_cell_and_its_death_frees_it(folder: CellFolder) -> None:
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(8), context.Queue()
    processes = [context.Process(target=claim_and_wait, args=(str(folder.path), barrier, answers)) for _ in range(8)]
    for process in processes:
        process.start()
    try:
        got = dict(answers.get(timeout=30) for _ in processes)
        owners = [pid for pid, number in got.items() if number is not None]
        assert len(owners) == 1
        assert attempts.claim(folder) is None, "its owner is alive"
        os.kill(owners[0], signal.SIGKILL)
        next(p for p in processes if p.pid == owners[0]).join(10)
        after = attempts.claim(folder)
        assert after is not None
        assert after.number == 2
    finally:
        for process in processes:
            process.kill()


def test_a_cell_that_was_finished_meanwhile_is_nobodys(folder: CellFolder) -> None:
    """Between a process' look at the cell and its claim, which first asks what code and machine this is."""
    first = attempts.claim(folder)
    assert first is not None
    folder.result_file.write_text("{}")
    first.end("done")
    assert attempts.claim(folder) is None
    assert [record.number for record in folder.attempts()] == [1]


def test_an_ended_attempt_is_history(folder: CellFolder) -> None:
    first = attempts.claim(folder, job="57_3")
    assert first is not None
    first.end("failed", error="out of memory")
    second = attempts.claim(folder)
    assert second is not None
    assert second.number == 2
    past = folder.attempts()
    assert [record.ended for record in past] == ["failed", None]
    assert (past[0].job, past[0].error) == ("57_3", "out of memory")


def test_a_reused_pid_is_not_the_owner(folder: CellFolder) -> None:
    mine = attempts.claim(folder)
    assert mine is not None
    replace(mine.attempt, started="1").write(mine.path)
    assert attempts.claim(folder) is not None


def test_another_host_is_judged_by_its_heartbeat(folder: CellFolder) -> None:
    mine = attempts.claim(folder)
    assert mine is not None
    replace(mine.attempt, place="another host").write(mine.path)
    assert attempts.claim(folder) is None
    long_ago = time.time() - DEAD_SECONDS - 1
    os.utime(mine.path, (long_ago, long_ago))
    assert attempts.claim(folder) is not None


def test_a_superseded_attempt_notices(folder: CellFolder) -> None:
    mine = attempts.claim(folder)
    assert mine is not None
    mine.check()
    Attempt().write(folder.attempt_file(2))
    with pytest.raises(attempts.Superseded):
        mine.check()


def test_an_attempt_whose_record_is_gone_notices_and_does_not_make_it_anew(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(attempts, "BEAT_SECONDS", 0.01)
    mine = attempts.claim(folder)
    assert mine is not None
    mine.start()
    shutil.rmtree(folder.path)
    mine._thread.join(30)
    assert mine.lost is not None, "the heartbeat finds out, and ends"
    for write in (lambda: mine.began(0), lambda: mine.saved(3), lambda: mine.end("done")):
        with pytest.raises(attempts.Superseded, match=r"0001.json is gone: the cell's folder was deleted or moved"):
            write()
    assert not folder.path.exists()


def test_a_record_that_a_file_system_misses_for_a_moment_is_not_gone(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = attempts.claim(folder)
    assert mine is not None
    away = mine.path.rename(mine.path.with_suffix(".away"))
    monkeypatch.setattr(attempts.time, "sleep", lambda seconds: seconds and away.exists() and away.rename(mine.path))
    mine.check()


def test_the_heartbeat_beats(folder: CellFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "BEAT_SECONDS", 0.05)
    mine = attempts.claim(folder)
    assert mine is not None
    os.utime(mine.path, (0, 0))
    mine.start()
    deadline = time.monotonic() + 10
    while mine.path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert mine.path.stat().st_mtime > 0
    mine.end("done")


def test_what_a_killed_attempt_had_not_written_to_its_end_goes_with_the_next_claim(folder: CellFolder) -> None:
    mine = attempts.claim(folder, job="57")
    assert mine is not None
    left, young, old = (
        folder.attempts_folder / name for name in (".0001.json.12-0123abcd.tmp", ".claim-1-ab", ".claim-2-cd")
    )
    for path in (left, young, old):
        path.touch()
    os.utime(old, (0, 0))
    assert attempts.claim(folder, after=1) is not None
    names = {path.name for path in folder.attempts_folder.iterdir()}
    assert names == {"0001.json", "0002.json", young.name}, "somebody may be claiming just now"
