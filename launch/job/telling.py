"""What a job tells of its cell where `site.notify` says how: in a process of its own, which is given up after a while.

The attempt is over by then, and whatever comes of this changes nothing about it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from gta.cellfolder import CellFolder, readable
from gta.sweep import Sweep
from launch.notify.watchers import Place, watchers

SECONDS = 150.0  # a launcher elsewhere is waited for, and two commands may take their time
STUCK_SECONDS = 60.0


def tell_end(folder: CellFolder, rank: int) -> None:
    """Of an attempt that is over, by the rank that failed first, or rank 0."""
    with contextlib.suppress(OSError):
        _tell_end(folder, rank)


def _tell_end(folder: CellFolder, rank: int) -> None:
    failed = None if folder.done else readable(folder.last_failure, say=lambda _: None)
    first = failed.rank if failed and failed.rank is not None else 0
    if rank == first and asked(folder):
        finish(start(folder), SECONDS)


def asked(folder: CellFolder) -> bool:
    """Whether the cell's site wants somebody to be told, and no launcher of this host is there to do it."""
    settings = readable(folder.settings, say=lambda _: None) or {}
    try:
        wanted = bool(settings["site"]["notify"].strip())
        place = Place.of(folder.path.parents[1], Sweep(settings["sweep_name"], settings["variant"]))
    except (KeyError, TypeError, AttributeError):  # frozen by an older version
        return False
    return wanted and not watchers(place).here


def start(folder: CellFolder, *more: str) -> subprocess.Popen[bytes] | None:
    """The process that tells, with the code that this one runs; None where it cannot be started."""
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-P", "-m", "launch.notify.last", str(folder.path), *more]
    with contextlib.suppress(OSError):
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        )
    return None


def finish(process: subprocess.Popen[bytes] | None, seconds: float) -> None:
    """Wait for it, no longer than that."""
    if process is None:
        return
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
