"""A job, or what watches a rank, that can tell nobody says so in its log, and goes its way."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gta.cell import Cell
from launch.job import telling, watching
from launch.job.watching import Watched, Watching
from tests.helpers.notified import of_site


def test_a_job_that_cannot_tell_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (cell,) = of_site(tmp_path, 1)
    with monkeypatch.context() as without:
        without.setattr(sys, "executable", str(tmp_path / "gone"))
        telling.tell_end(cell.folder, 0)
    assert "Nobody is told, as no process could be started for that: " in capsys.readouterr().err
    monkeypatch.setattr(telling, "asked", stale)
    telling.tell_end(cell.folder, 0)
    assert "Nobody is told how the attempt ended: [Errno 116] Stale file handle" in capsys.readouterr().err
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    telling.finish(child, 0.01)
    assert child.communicate() == (None, None)
    assert "Telling took longer than 0 s, and is given up." in capsys.readouterr().err


def stale(folder: object) -> bool:
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def test_that_nobody_can_be_told_of_a_stuck_rank_is_said(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    about = Watched(folder=str(cells[0].folder.path), pid=1, started="", rank=0, world=1, seconds=60, hosts=False)
    watched = Watching(about, pipe=-1)
    watched.number = 1
    monkeypatch.setattr(watching, "asked", lambda folder: 1 / 0)
    assert watched._tell() is None
    assert "Nobody is told that the attempt is stuck: ZeroDivisionError: " in capsys.readouterr().err
