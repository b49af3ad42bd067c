"""Locks between processes: who holds one is named, and nobody waits for ever without a word."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from gta import locks, progress
from gta.locks import Busy, Holder
from tests.helpers.holding import held


@pytest.mark.parametrize("seconds", [10_000, None])
def test_a_lock_that_a_stopped_process_holds_is_given_up_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    monkeypatch.setattr(locks, "STOPPED_SECONDS", 0.1)
    path = tmp_path / "folder/x.lock"
    with held("lock", path) as other:
        with pytest.raises(Busy) as refused, locks.lock(path, seconds):
            pass
        said = str(refused.value)
        assert re.search(rf" lock .* \(process {other.pid} on {socket.gethostname()}, since .*\) holds", said)
        assert f"{path} and is stopped (Ctrl-Z or SIGSTOP): `kill -CONT {other.pid}` lets it go on" in said
        os.kill(other.pid, signal.SIGCONT)
        with locks.lock(path, 10_000):
            assert f"(process {os.getpid()} on " in str(locks.holder_of(path))


def test_waiting_for_who_works_is_progress_and_for_who_was_stopped_is_none(tmp_path: Path) -> None:
    path, ticks = tmp_path / "x.lock", list[int]()

    def wait(seconds: float) -> None:
        with pytest.raises(Busy), locks.lock(path, seconds, patience=0.05):
            pass

    with progress.heard_by(lambda: ticks.append(1)):
        with held("lock", path):
            wait(0.3)
        assert ticks == [], "nobody is at work"
        with locks.lock(path):
            beside = threading.Thread(target=wait, args=[0.3])  # live tracking, say, while a step hangs
            beside.start()
            beside.join()
            assert ticks == [], "of the work beside it, it knows nothing"
            wait(0.3)
            assert ticks


def test_who_is_at_work_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    said: list[Holder | None] = []
    with locks.lock(path), pytest.raises(Busy) as refused, locks.lock(path, 0.2, said.append, patience=0.1):
        pass
    (holder,) = said
    assert holder is not None
    assert holder.pid == os.getpid()
    assert "and is stopped" not in str(refused.value)
    assert f"(on {socket.gethostname()}: kill {os.getpid()})" in str(refused.value)


def test_of_a_holder_that_nobody_wrote_down_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with locks.lock(path):
        for content in ("", "{", None):
            if content is None:
                (tmp_path / "x.holder.json").unlink()
            else:
                (tmp_path / "x.holder.json").write_text(content)
            with pytest.raises(Busy, match=f"another process holds {path}"), locks.lock(path, 0.1):
                pass


def test_a_lock_is_had_where_its_holder_cannot_be_written_down(tmp_path: Path) -> None:
    (tmp_path / "x.holder.json").mkdir()  # a full disk, say
    with locks.lock(tmp_path / "x.lock", 5), pytest.raises(Busy), locks.lock(tmp_path / "x.lock", 0.1):
        pass
    assert not list(tmp_path.glob(".*tmp")), "nothing is left behind"


def test_a_password_on_the_command_line_is_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gta", "sync", "paths.tracking_uri=postgresql://me:secret@host/gta"])
    with locks.lock(tmp_path / "x.lock"):
        assert "secret" not in (tmp_path / "x.holder.json").read_text()
