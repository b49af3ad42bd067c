"""What a job tells of its cell where `site.notify` says how: in a process of its own, which is given up after a while.

The attempt is over by then, and whatever comes of this changes nothing about it.
"""

from __future__ import annotations

import os
import subprocess
import sys

from gta.cellfolder import CellFolder, readable
from gta.sweep import Sweep
from launch.job import stacks
from launch.job.owncode import own_code_first
from launch.notify.watchers import Place, watchers

SECONDS = 150.0  # a launcher elsewhere is waited for, and two commands may take their time
STUCK_SECONDS = 60.0


def tell_end(folder: CellFolder, rank: int) -> None:
    """Of an attempt that is over, by the rank that failed first, or rank 0."""
    try:
        _tell_end(folder, rank)
    except OSError as error:
        stacks.say(f"Nobody is told how the attempt ended: {error}")


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
    command = [sys.executable, "-P", "-m", "launch.notify.last", str(folder.path), *more]
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, env={**os.environ, **own_code_first()})
    except OSError as error:
        stacks.say(f"Nobody is told, as no process could be started for that: {error}")
        return None


def finish(process: subprocess.Popen[bytes] | None, seconds: float) -> None:
    """Wait for it, no longer than that."""
    if process is None:
        return
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        stacks.say(f"Telling took longer than {seconds:.0f} s, and is given up.")
        process.kill()
        process.wait()
