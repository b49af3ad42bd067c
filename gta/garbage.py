"""Python's search for unreachable objects, in a process that begins by importing thousands of modules.

Each module makes objects that live until the end. The collector goes through all of them again and again, once more as
the process ends, and finds nothing: a fifth of a command's CPU time, and a second of a cell's.
"""

from __future__ import annotations

import atexit
import gc

RARELY = (20_000, 50, 100)  # gc.set_threshold
_before: list[tuple[int, int, int]] = []  # the thresholds that `spare` found, until `as_usual` puts them back


def spare() -> None:
    """Look rarely from here on, and not at all at the end: for a process that is about to import what it needs."""
    if not _before:
        _before.append(gc.get_threshold())
        atexit.register(gc.freeze)
    gc.set_threshold(*RARELY)


def as_usual() -> None:
    """Where `spare` was called: look as often as Python does from here on, yet not through what is there by now."""
    if _before:
        gc.freeze()
        gc.set_threshold(*_before.pop())
