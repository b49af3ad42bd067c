"""Attempts: of any number of processes that want a cell, one gets it, and a dead owner is found out."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from launch.state import attempts


def claim_and_wait(folder: str, barrier, answers) -> None:  # type: ignore[no-untyped-def]
    barrier.wait()
    mine = attempts.claim(Path(folder))
    answers.put((os.getpid(), mine.number if mine else None))
    time.sleep(60)


def test_of_eight_processes_one_gets_the_cell_and_its_death_frees_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(8), context.Queue()
    processes = [context.Process(target=claim_and_wait, args=(str(tmp_path), barrier, answers)) for _ in range(8)]
    for process in processes:
        process.start()
    try:
        got = dict(answers.get(timeout=30) for _ in processes)
        owners = [pid for pid, number in got.items() if number is not None]
        assert len(owners) == 1
        assert attempts.claim(tmp_path) is None, "its owner is alive"
        os.kill(owners[0], signal.SIGKILL)
        next(p for p in processes if p.pid == owners[0]).join(10)
        after = attempts.claim(tmp_path)
        assert after is not None
        assert after.number == 2
    finally:
        for process in processes:
            process.kill()


def test_an_ended_attempt_is_history(tmp_path: Path) -> None:
    first = attempts.claim(tmp_path, job="57_3")
    assert first is not None
    first.end("failed", error="out of memory")
    second = attempts.claim(tmp_path)
    assert second is not None
    assert second.number == 2
    past = attempts.history(tmp_path)
    assert [record.ended for record in past] == ["failed", None]
    assert past[0].fields["job"] == "57_3"


def test_a_reused_pid_is_not_the_owner(tmp_path: Path) -> None:
    mine = attempts.claim(tmp_path)
    assert mine is not None
    fields = json.loads(mine.path.read_text())
    mine.path.write_text(json.dumps({**fields, "started": "1"}))
    assert attempts.claim(tmp_path) is not None


def test_another_host_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    mine = attempts.claim(tmp_path)
    assert mine is not None
    fields = json.loads(mine.path.read_text())
    mine.path.write_text(json.dumps({**fields, "place": "another host"}))
    assert attempts.claim(tmp_path) is None
    long_ago = time.time() - attempts.DEAD_SECONDS - 1
    os.utime(mine.path, (long_ago, long_ago))
    assert attempts.claim(tmp_path) is not None


def test_a_superseded_attempt_notices(tmp_path: Path) -> None:
    mine = attempts.claim(tmp_path)
    assert mine is not None
    mine.check()
    (tmp_path / "attempts" / "0002.json").write_text("{}")
    with pytest.raises(attempts.Superseded):
        mine.check()


def test_the_heartbeat_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "BEAT_SECONDS", 0.05)
    mine = attempts.claim(tmp_path)
    assert mine is not None
    os.utime(mine.path, (0, 0))
    mine.start()
    deadline = time.monotonic() + 10
    while mine.path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert mine.path.stat().st_mtime > 0
    mine.end("done")
