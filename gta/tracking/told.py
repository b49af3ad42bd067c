"""What the own runs of sweeps are told: the rows of their tables, and where which cells of their grids stand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gta.sweep import Sweep
from gta.tracking import keys

if TYPE_CHECKING:
    from mlflow.entities import Run

    from gta.tracking.sync_cache import Sent

_LONG = 1000  # characters of a name that leaves a tag no room


@dataclass(frozen=True)
class Told:
    """The sweeps of one sync; `rows` of their tables, in order, and their whole `grid`, the signature of each cell ->
    the row and the column that these sweeps have it in: none of these is where it is not known.
    """

    sweeps: list[Sweep]
    rows: list[str] = field(default_factory=list)
    grid: Mapping[str, keys.Place] = field(default_factory=dict)

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


def digest(grid: Mapping[str, keys.Place]) -> str:
    """Equal for grids of the same cells in the same places."""
    return hashlib.sha256(json.dumps(sorted(grid.items())).encode()).hexdigest()[:16]


def _parts(grid: Mapping[str, keys.Place]) -> dict[str, str]:
    """The cells by row and column in tags, as many in one as MLflow takes. A row of too long a name has none there."""
    parts: list[dict[str, dict[str, list[str]]]] = []
    room = 0
    for signature, names in grid.items():
        row, column = names if len(json.dumps(names)) < _LONG else keys.NOWHERE
        if room < (most := len(json.dumps({row: {column: [signature]}})) + 2):
            parts.append({})
            room = keys.LONGEST
        parts[-1].setdefault(row, {}).setdefault(column, []).append(signature)
        room -= most
    return {f"{keys.GRID}{number}": json.dumps(part) for number, part in enumerate(parts)}
