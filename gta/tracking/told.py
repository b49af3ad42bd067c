"""What the own runs of sweeps are told: the rows of their tables, and which cells their grids have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gta.sweep import Sweep
from gta.tracking import keys

if TYPE_CHECKING:
    from mlflow.entities import Run

    from gta.tracking.sync_cache import Sent

_CELLS = 200  # signatures in one


@dataclass(frozen=True)
class Told:
    """The sweeps of one sync; `rows` of their tables, in order, and the signatures of their whole `grid`: none of these
    is where it is not known.
    """

    sweeps: list[Sweep]
    rows: list[str] = field(default_factory=list)
    grid: list[str] = field(default_factory=list)

    @property
    def tags(self) -> list[str]:
        return [sweep.tag for sweep in self.sweeps]

    @property
    def anything(self) -> bool:
        return bool(self.rows or self.grid)

    def known(self, sent: Sent, tag: str) -> bool:
        """Whether the sweep's own run has all of this, by what was remembered of it: all rows, in this order."""
        rows = [row for row in sent.rows.get(tag, []) if row in self.rows]
        return rows == self.rows and (not self.grid or sent.grids.get(tag) == digest(self.grid))

    def rows_for(self, run: Run) -> list[str]:
        """The rows that a sweep's own run should have. A part of the sweep takes no row away and moves none."""
        kept = keys.rows_of(run)
        return self.rows if set(kept) <= set(self.rows) else list(dict.fromkeys([*kept, *self.rows]))

    def news(self, run: Run) -> dict[str, str]:
        """The tags that a sweep's own run lacks."""
        rows = json.dumps(self.rows_for(run))
        wanted = {keys.ROWS: rows} if self.rows and len(rows) <= keys.LONGEST else {}
        if self.grid:
            wanted |= _parts(self.grid)
            # what is left of a larger grid
            wanted |= {name: "[]" for name in run.data.tags if name.startswith(keys.GRID) and name not in wanted}
        return {name: text for name, text in wanted.items() if run.data.tags.get(name) != text}


def digest(grid: Sequence[str]) -> str:
    """Equal for grids of the same cells."""
    return hashlib.sha256(",".join(sorted(set(grid))).encode()).hexdigest()[:16]


def _parts(grid: Sequence[str]) -> dict[str, str]:
    """The signatures in tags, as one takes no more than some thousand characters."""
    cells = list(dict.fromkeys(grid))
    parts = [cells[start : start + _CELLS] for start in range(0, len(cells), _CELLS)]
    return {f"{keys.GRID}{number}": json.dumps(part) for number, part in enumerate(parts)}
