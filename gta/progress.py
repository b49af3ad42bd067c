"""Signs of life: loops over images, files and batches say that they go on, and who watches a run listens.

A run that says nothing for long is stuck (`launch.job.watchdog`); nobody listens where nothing watches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[], None]] = []


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
