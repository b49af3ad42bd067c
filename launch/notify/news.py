"""What a launcher tells: looks at its grid's entries at each turn, and runs the site's command for what is new.

Nothing here makes the launcher wait: what still runs when it is over is waited for by a thread, while it prints its
table. What goes wrong is a line.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gta.cell import Cell
from gta.sweep import Sweep
from launch.notify import events, told
from launch.notify.command import SECONDS, Sending
from launch.notify.told import Event
from launch.notify.watchers import Beat, Place, watching
from launch.state.ledger import Entry

# between two messages of one kind: cells that fail one after the other are told together, what failed is tried again
PAUSE_SECONDS = 60.0


@contextmanager
def of_launcher(cells: Sequence[Cell], sweep: Sweep, more: bool = False) -> Iterator[News]:
    """The news of a launcher that watches these cells; when it is left, what waits is sent. `more`: others will follow,
    so that no job can know that it is the last one.
    """
    news = News(cells, sweep)
    with contextlib.ExitStack() as stack:
        if news.command:
            try:
                news.beat = stack.enter_context(
                    watching(news.place, [] if more else [cell.signature for cell in cells])
                )
            except OSError as error:
                news.say(f"No job knows that this launcher watches ({error}): it may tell what happens, too.")
        stack.callback(news.close)
        yield news


class News:
    """`command` is that of the first cell's site: one launch has one; empty: nobody is told of anything."""

    def __init__(self, cells: Sequence[Cell], sweep: Sweep, clock: Callable[[], float] = time.monotonic):
        config = cells[0].config
        self.command = config.site.notify.strip()
        self.beat: Beat | None = None
        self._kinds = set(config.site.notify_on)
        self._runs = Path(config.paths.runs)
        self._sweep = sweep
        self.place = Place.of(self._runs, sweep)
        self._entries: Sequence[Entry] = ()
        self._known: set[tuple[Path, str]] = set()  # events that somebody told, or that wait here to be told again
        self._waiting: dict[tuple[Path, str], Event] = {}
        self._sending: dict[str, tuple[Sending, list[Event]]] = {}  # by kind: one message of a kind at a time
        self._last: dict[str, float] = {}
        self._clock = clock
        self._said: set[str] = set()
        self._leaving = False

    def look(self, entries: Sequence[Entry], asked: Collection[str] = (), never_start: Collection[str] = ()) -> None:
        """Tell of what is new. `asked`: cells that are about to be run again, by signature, whose failures are known to
        who asked; `never_start`: those whose jobs Slurm will not start.
        """
        if not self.command:
            return
        self._entries = entries
        if self.beat:
            self.beat.sometimes()
        self._add(events.of_cells([one for one in entries if one.cell.signature not in asked], never_start))
        self._move()

    def end(self, entries: Sequence[Entry]) -> None:
        """The launcher is over; no news where a cell waits still, which its user holds or Slurm does not start."""
        if self.command and events.over(entries):
            self._entries = entries
            self._add([events.end(entries, self._sweep, self.place.notified_file)])

    def budget(self, said: str, amount: float, wanted: Sequence[Entry]) -> None:
        """The budget forbids what is to run, or is used up."""
        if self.command:
            self._add([events.budget(said, amount, wanted, self.place.notified_file)])
            self._move()

    def close(self) -> None:
        """Send what waits. The process stays until the commands are over, no longer than they may take: none is run
        again.
        """
        self._leaving = True
        self._move(pause=0.0)
        if self._sending:
            threading.Thread(target=self._drain, name="notify").start()

    def _drain(self) -> None:
        until = time.monotonic() + 2 * SECONDS  # another that was stopped may hold the lock for ever
        while self._sending and time.monotonic() < until:
            time.sleep(0.05)
            self._move(pause=0.0)

    @property
    def busy(self) -> bool:
        """Whether a command runs whose end was not seen yet."""
        return bool(self._sending)

    def say(self, text: str) -> None:
        """Each trouble once."""
        if text not in self._said:
            self._said.add(text)
            print(text, flush=True)

    def _add(self, found: Sequence[Event]) -> None:
        for event in found:
            key = event.file, event.key
            if event.kind in self._kinds and key not in self._known:
                self._waiting[key] = event

    def _move(self, pause: float = PAUSE_SECONDS) -> None:
        """Start a message of each kind that has something new, where none is under way."""
        self._finish()
        for kind in dict.fromkeys(event.kind for event in self._waiting.values()):
            recently = self._clock() - self._last.get(kind, -pause) < pause
            if kind not in self._sending and not recently:
                self._start(kind)

    def _start(self, kind: str) -> None:
        found = [event for event in self._waiting.values() if event.kind == kind]
        self._waiting = {key: event for key, event in self._waiting.items() if event.kind != kind}
        self._last[kind] = self._clock()
        try:
            mine, later = told.claim(self._runs, found)
        except OSError as error:
            self.say(f"Nobody is told of events, as that cannot be remembered: {error}")
            mine, later = [], found
        self._known |= {(event.file, event.key) for event in found}
        self._again(kind, later)
        if mine:
            made = events.facts(mine, self._sweep, self._entries, self.command)
            self._sending[kind] = Sending(self.command, made), mine

    def _again(self, kind: str, found: Sequence[Event]) -> None:
        """These wait for another look, of a launcher that goes on."""
        if not self._leaving:
            self._waiting |= {(event.file, event.key): event for event in found}
        elif found:
            self.say(f"This launcher is over, and does not try again to tell of the {kind}.")

    def _finish(self) -> None:
        """Write down what came of the commands that are over. What failed is tried again, a few times in all."""
        for kind, (sending, found) in list(self._sending.items()):
            if not sending.over:
                continue
            if sending.error:
                self.say(f"site.notify could not tell of the {kind}: {sending.error}")
            try:
                if not told.settle(self._runs, found, sending.error):
                    continue  # at the next look
            except OSError as error:
                self.say(f"What came of telling of the {kind} cannot be written down, so it counts as told: {error}")
            del self._sending[kind]
            if sending.error:
                self._again(kind, found)
