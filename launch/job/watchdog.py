"""A process beside each rank that ends it when it makes no progress for `site.stuck_minutes`: what the rank sees of it.

It is a process of its own, since the rank may be stopped (SIGSTOP), or hang in a call that lets no thread run.
`launch.job.watching` is what it runs.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gta import progress
from gta.cellfolder import CellFolder, process_start
from launch.job.owncode import own_code_first
from launch.job.stacks import DUMP
from launch.job.watching import ATTEMPT, OVER, TICK, Watched

_LEAVE_SECONDS = 5.0
_HEARD = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}  # meant for the rank, not for who watches it
_STDERR = 2


class Watchdog:
    """The pipe to the process that watches this one."""

    def __init__(self, process: subprocess.Popen[bytes]):
        assert process.stdin is not None
        self._process = process
        self._pipe = process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    def tick(self) -> None:
        """There is progress. Cheap enough for every step."""
        self._say(TICK)

    def attempt(self, number: int) -> None:
        """Which attempt this is: the one whose record says how it ended."""
        self._say(ATTEMPT % number)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # a full pipe says enough; a watchdog that was killed hears nothing
            os.write(self._pipe, word)

    def close(self) -> None:
        """The rank is over: nothing more is to be watched."""
        self._say(OVER)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Unwatched(Watchdog):
    """Where nothing watches."""

    def __init__(self) -> None:
        pass

    def _say(self, word: bytes) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def watchdog(folder: CellFolder, minutes: float, rank: int, world: int, hosts: bool) -> Iterator[Watchdog]:
    """While entered, this process is ended where it makes no progress for so many minutes (0: never), after its stack
    was written to its log.

    `hosts`: whether the ranks are on several. A debugger that is attached to the process counts as progress.
    """
    if minutes <= 0:
        yield Unwatched()
        return
    started = process_start(os.getpid())
    seconds = minutes * 60
    watched = Watched(
        folder=str(folder.path), pid=os.getpid(), started=started, rank=rank, world=world, seconds=seconds, hosts=hosts
    )
    with _stack_on_signal():
        made = Watchdog(_start(watched))
        try:
            with progress.heard_by(made.tick):
                yield made
        finally:
            made.close()


@contextmanager
def _stack_on_signal() -> Iterator[None]:
    """While entered, a signal writes the stacks of all threads to the log, also while the interpreter is stuck; so it
    does in the workers that load data, which inherit it.
    """
    faulthandler.register(DUMP, file=_STDERR, all_threads=True)
    try:
        yield
    finally:
        faulthandler.unregister(DUMP)


def _start(watched: Watched) -> subprocess.Popen[bytes]:
    """It runs the code that this process runs, and hears no signal that is sent to the whole job."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "launch.job.watching", watched.text()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **own_code_first()},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
