"""Ctrl-C, heard also where a library swallows it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self


class Interrupt:
    """While entered, Ctrl-C raises KeyboardInterrupt as ever, and is remembered: `check` raises it once more.

    It may come within an import or a call of a library that catches everything (MLflow takes seconds to import), and
    would be lost there.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may listen
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt where Ctrl-C came."""
        if self.came:
            raise KeyboardInterrupt
