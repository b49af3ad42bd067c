"""What the cells of a launch have used since it began, against its budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from launch.show import words
from launch.show.rows import BoardRow, rows
from launch.state.ledger import Entry

LOOK_SECONDS = 60.0


class Spending:
    """GPU-hours (of cells without a GPU: core-hours) of the `wanted` cells from now on. The price was an estimate: what
    was submitted goes on, and it is said once that it cost more. `rows_of`: makes the board's rows of entries, and may
    keep those of cells that are done.
    """

    def __init__(
        self,
        wanted: Sequence[Entry],
        budget: float | None,
        rows_of: Callable[[Sequence[Entry]], list[BoardRow]] = rows,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget or 0.0
        self._wanted = {entry.cell.signature for entry in wanted}
        self._over = budget is None
        self._clock, self._last = clock, clock()
        self._rows_of = rows_of
        self._before = (0.0, 0.0) if self._over else self._used(wanted)

    def used_up(self, entries: Sequence[Entry]) -> str:
        """A sentence, once, where more was used than the budget; else nothing. It looks once a minute."""
        if self._over or self._clock() - self._last < LOOK_SECONDS:
            return ""
        self._last = self._clock()
        now = self._used([entry for entry in entries if entry.cell.signature in self._wanted])
        for unit, before, after in zip(("GPU", "core"), self._before, now, strict=True):
            if after - before > self.budget:
                self._over = True
                used = words.hours(after - before)
                return f"Used {used} {unit}-hours, more than --budget {self.budget:g}: what was submitted goes on."
        return ""

    def _used(self, entries: Sequence[Entry]) -> tuple[float, float]:
        """GPU-hours and core-hours of all attempts so far."""
        table = self._rows_of(entries)
        return sum(row.gpu_hours for row in table), sum(row.core_hours for row in table)
