"""Which cells of a grid are meant, by the board's words for their states, and by method."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from gta.errors import UserError
from gta.text import did_you_mean
from launch.grid.names import Named
from launch.show.rows import state
from launch.state.damage import history
from launch.state.ledger import Entry


@dataclass(frozen=True)
class Filter:
    """`states`: words of the board (failed, queued ...); `methods`: names or labels, or patterns of them (gta*). Where
    there is none, all are meant.
    """

    states: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.states or self.methods)

    def of(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of the entries that are meant, in order. Raises UserError for a method that none of them has."""
        names = {entry.cell.signature: (entry.cell.config.method.name, entry.cell.row) for entry in entries}
        self._check([name for both in names.values() for name in both])
        kept = [entry for entry in entries if self._named(names[entry.cell.signature])]
        if not self.states:
            return kept
        return [entry for entry in kept if state(entry, history(entry.cell.folder)) in self.states]

    def of_names(self, cells: Sequence[Named]) -> list[Named]:
        """As `of`, by method alone: names of cells say nothing of states."""
        self._check([name for cell in cells for name in (cell.method, cell.label)])
        return [cell for cell in cells if self._named((cell.method, cell.label))]

    def _named(self, names: Sequence[str]) -> bool:
        return not self.methods or any(fnmatch.fnmatch(name, method) for name in names for method in self.methods)

    def _check(self, known: Sequence[str]) -> None:
        for method in self.methods:
            if known and not any(fnmatch.fnmatch(name, method) for name in known):
                raise UserError(
                    f"--method {method}: no cell has it; {did_you_mean(method, list(dict.fromkeys(known)))}"
                )
