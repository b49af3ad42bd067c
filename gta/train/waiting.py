"""How much of the training's time goes by in waiting for the next batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


class Waiting:
    """The time that a loop over batches waits for them, and the time of its steps; evaluations and saves are neither.

    The first batch counts as well, for which the loading itself has to start. On a GPU this is the most that it may be:
    a step is over here once its work is handed over, while the GPU goes on with it and a batch is waited for.
    """

    def __init__(self) -> None:
        self.waited = 0.0  # seconds
        self.stepped = 0.0
        self._since = 0.0

    def over(self, batches: Iterable[_Item]) -> Iterator[_Item]:
        """The batches, one after the other; the caller says by `step_ends` when the step of each is over."""
        iterator = iter(batches)
        while True:
            began = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._since = time.monotonic()
            self.waited += self._since - began
            yield batch

    def step_ends(self) -> None:
        """The step of the last batch is over."""
        now = time.monotonic()
        self.stepped += now - self._since
        self._since = now

    def percent(self) -> float:
        """Share of the waiting in both, 0 to 100, since the beginning; 0 before there is any."""
        both = self.waited + self.stepped
        return 100 * self.waited / both if both > 0 else 0.0
