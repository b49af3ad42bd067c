"""Signs of life, and how far a piece of work is: loops over images, files and batches say that they go on.

Who watches a run listens to the signs of life: one that says nothing for long is stuck (`launch.job.watchdog`). Who
shows something to people is told how far a piece of work is (`gta.bars`). Nobody listens where nothing watches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

_listeners: list[Callable[[], None]] = []
_displays: list[Display] = []  # the last one shows
_Item = TypeVar("_Item")


@dataclass
class Work:
    """A piece of work. `what`: in a few words ("copying the data"); `total`: its steps; `done`: those behind it;
    `silent`: whoever does it says how it goes in lines of its own.
    """

    what: str
    total: int
    done: int = 0
    silent: bool = False

    def advance(self, steps: int = 1) -> None:
        """So many steps more are done; from whichever thread, which may lose one that another says at that moment."""
        self.done += steps


Display = Callable[[Work], AbstractContextManager[None]]  # entered for as long as the work lasts


def tick() -> None:
    """Something was done: an image, a batch, a file; or another process is waited for, which has to answer for it."""
    for listener in _listeners:
        listener()


@contextmanager
def heard_by(listener: Callable[[], None]) -> Iterator[None]:
    """While entered, `listener` is called at each tick, from whichever thread; it must be quick."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """While entered, `display` shows how far works are, and no other that was entered before."""
    _displays.append(display)
    try:
        yield
    finally:
        _displays.remove(display)


@contextmanager
def work(what: str, total: int, done: int = 0, silent: bool = False) -> Iterator[Work]:
    """A piece of work for as long as it is entered; its body says how far it is by `advance`."""
    made = Work(what, total, done, silent)
    with _displays[-1](made) if _displays else nullcontext():
        yield made


def steps(items: Iterable[_Item], what: str, total: int, done: int = 0, silent: bool = False) -> Iterator[_Item]:
    """The items, each a step of a piece of work that is done when the next one is asked for."""
    with work(what, total, done, silent) as made:
        for item in items:
            yield item
            made.advance()
