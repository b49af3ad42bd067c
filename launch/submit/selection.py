"""Which cells of a grid a launch is about: the same answer for plan, multirun and retry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gta.cellfolder import Death
from gta.errors import UserError
from launch.grid.names import find_all, of_grid
from launch.show.filters import Filter
from launch.state.ledger import RETRY, Entry, State, to_run


@dataclass(frozen=True)
class Selection:
    """What is missing of the cells, and what failed or was cancelled where `retry` says so.

    `cells`: names of cells (see `launch.grid.names`), of which alone it is about; none for all. `states` and `methods`
    say the same by the board's words (see `launch.show.filters`). `again`: not what is
    missing, but what failed or got lost, and, where it is named, also what was cancelled; `oom`: of these, the cells
    that ran out of memory; `new_order`: those that diverged, which go on with other batches. Raises UserError for a
    word of `retry` that means nothing.
    """

    retry: str = "none"
    cells: tuple[str, ...] = ()
    again: bool = False
    oom: bool = False
    new_order: bool = False
    states: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.retry not in RETRY:
            raise UserError(f"--retry {self.retry}: use one of {', '.join(RETRY)}.")

    def of(self, entries: Sequence[Entry]) -> list[Entry]:
        """The cells to run now. Raises UserError for a name of no cell, or of one that has nothing to run again for."""
        named = self.named(entries)
        if not self.again:
            return [entry for entry in named if to_run(entry, self.retry)]
        lost = {State.FAILED, State.RESUMABLE}
        if self.cells:
            self._refuse_what_is_well(named)
            lost |= {State.CANCELLED, State.NEVER_RUN}
        if "cancelled" in self.states:
            lost |= {State.CANCELLED}
        chosen = [entry for entry in named if entry.state in lost or (entry.state is State.NEVER_RUN and entry.job)]
        if self._one_by_one:
            chosen += [entry for entry in named if entry.unknown and entry not in chosen]
        cause = Death.MEMORY if self.oom else Death.DIVERGED if self.new_order else None
        return [entry for entry in chosen if cause in (None, entry.cause)]

    def named(self, entries: Sequence[Entry]) -> list[Entry]:
        """The cells that it is about. Raises UserError for a name of no cell."""
        entries = Filter(self.states, self.methods).of(entries)
        if not self.cells:
            return entries
        found = {cell.signature for cell in find_all(self.cells, of_grid([entry.cell for entry in entries]))}
        return [entry for entry in entries if entry.cell.signature in found]

    @property
    def _one_by_one(self) -> bool:
        """Whether cells are named themselves, by no pattern."""
        return bool(self.cells) and not any(set(name) & set("*?[") for name in self.cells)

    def _refuse_what_is_well(self, named: Sequence[Entry]) -> None:
        """Of a pattern that is fine; a cell that is named itself was meant, also where nobody else will ever know what
        became of its job.
        """
        for entry in named if self._one_by_one else ():
            if entry.unknown and not entry.unknown.silent:
                continue
            if entry.unknown:
                name = f"{entry.cell.title} ({entry.cell.signature[:8]})"
                raise UserError(f"{name}: nobody knows what became of its job; {entry.unknown.why}. Try again later.")
            if entry.state in (State.DONE, State.RUNNING, State.QUEUED):
                raise UserError(f"{entry.cell.title} ({entry.cell.signature[:8]}) is {entry.state}: nothing to retry.")
            if entry.state is State.DAMAGED:
                short = entry.cell.signature[:8]
                raise UserError(f"{entry.cell.title} ({short}) is damaged: {entry.detail}; see `gta repair {short}`.")
