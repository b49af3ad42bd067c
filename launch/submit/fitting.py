"""How much of a group of cells is sent now: as much as the cluster takes, and as may run at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

# until a full cluster is tried again where none of the grid's jobs has ended: others end too
AGAIN_SECONDS = 60.0
DOUBT_SECONDS = 60.0  # for a job to be seen whose sbatch was not answered


def shares(room: int, sizes: Sequence[int]) -> list[int]:
    """How many tasks of each array may run at once where `room` may of all together: in proportion to their sizes.

    0: an array for which there is no room.
    """
    total, count = sum(sizes), len(sizes)
    if total <= room:
        return list(sizes)
    if room <= count:
        return [1] * max(0, room) + [0] * (count - max(0, room))
    return [1 + (room - count) * (size - 1) // (total - count) for size in sizes]


class Full:
    """What a cluster that takes no more jobs was seen to hold, so that it is asked again when that can have changed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._held: frozenset[str] | None = None
        self._since = 0.0

    def __bool__(self) -> bool:
        return self._held is not None

    def saw(self, held: frozenset[str]) -> None:
        """It took no more while it held these jobs."""
        self._held, self._since = held, self._clock()

    def clear(self) -> None:
        self._held = None

    def again(self, held: frozenset[str]) -> bool:
        """Whether it may take more: one of those jobs has ended, or a while has passed."""
        if self._held is None:
            return True
        return not self._held <= held or self._clock() - self._since >= AGAIN_SECONDS
