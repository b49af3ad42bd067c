"""How far a piece of work is, for people: a bar on a terminal, a line now and then elsewhere (a job's log, a pipe).

What is done within two seconds shows nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gta.masking import mask_output, styled
from gta.progress import Work, shown_by

if TYPE_CHECKING:
    from rich.progress import Progress

AFTER_SECONDS = 2.0  # of work before a bar
LINES_EVERY = 60.0  # seconds between lines where no one looks on


@contextmanager
def shown() -> Iterator[None]:
    """While entered, works are shown on stderr: by bars where that is a terminal, else by lines."""
    bars = Bars() if sys.stderr.isatty() else None
    try:
        with shown_by(bars or Lines()):
            yield
    finally:
        if bars:
            bars.close()  # an error may hold on to works that it ended


class Bars:
    """Bars of the works that go on, one below the other; what is printed meanwhile stands above them, and nothing of
    them stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: list[Work] = []
        self._screen: Progress | None = None

    @contextmanager
    def __call__(self, work: Work) -> Iterator[None]:
        over = threading.Event()
        teller = threading.Thread(target=self._tell, args=(work, over), daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()

    def _tell(self, work: Work, over: threading.Event) -> None:
        """Shows the bar of a work until it is over."""
        if over.wait(AFTER_SECONDS):
            return
        with self._lock:
            screen = self._begin(work)
            task = screen.add_task(work.what, total=work.total, completed=work.done)
        while not over.wait(0.25):
            screen.update(task, completed=work.done)
        with self._lock:
            screen.remove_task(task)
            self._end(work)

    def _begin(self, work: Work) -> Progress:
        if self._screen is None:
            self._screen = _screen()
            self._screen.start()
            mask_output()  # what others print meanwhile comes to rich, in the place of our streams
        self._going.append(work)
        return self._screen

    def _end(self, work: Work) -> None:
        self._going.remove(work)
        if not self._going:
            self._stop()

    def close(self) -> None:
        """Show nothing any more."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._screen is not None:
            self._screen.stop()
            self._screen = None


def _screen() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    console = Console(file=styled(sys.stderr), highlight=False, soft_wrap=True)  # folding breaks paths in the middle
    # what is printed to a pipe must not come to the terminal
    return Progress(*columns, *times, console=console, transient=True, redirect_stdout=sys.stdout.isatty())


class Lines:
    """A line on stderr about each work that lasts, every minute, but for those that say how they go themselves."""

    @contextmanager
    def __call__(self, work: Work) -> Iterator[None]:
        over = threading.Event()
        teller = threading.Thread(target=self._tell, args=(work, over), daemon=True)
        if not work.silent:
            teller.start()
        try:
            yield
        finally:
            over.set()

    def _tell(self, work: Work, over: threading.Event) -> None:
        while not over.wait(LINES_EVERY):
            print(f"{time.strftime('%H:%M:%S')} {said(work)}", file=sys.stderr, flush=True)


def said(work: Work) -> str:
    """Such as "copying the data: 120 of 2,975"."""
    return f"{work.what}: {min(work.done, work.total):,} of {work.total:,}"
