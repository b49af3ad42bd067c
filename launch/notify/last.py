"""What a job tells where no launcher watches: `python -m launch.notify.last CELL_FOLDER [stuck NUMBER WHY]`.

Its cell's failure, or that an attempt is about to be ended since it is stuck; and, from the last job of a sweep, what
else nobody told, and the end. A launcher that watches is left to it: one of this host at once, one elsewhere after it
had time to. Nothing is told twice, whoever is faster.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.compose.compose import read_config
from gta.config import Config
from gta.data.splits.split import Sizes
from gta.masking import mask_output
from gta.notifyconfig import END
from gta.sweep import Sweep
from launch.notify import events, told
from launch.notify.command import Sending
from launch.notify.told import Event
from launch.notify.watchers import Place, watchers
from launch.slurm.reconcile import reconcile
from launch.state.ledger import Entry, State, look

PATIENCE_SECONDS = 60.0  # with a launcher elsewhere
LOOK_SECONDS = 1.0


def main(arguments: Sequence[str]) -> int:
    mask_output()
    folder = CellFolder(Path(arguments[0]))
    config = read_config(folder.config_file)
    if config.site.notify.strip():
        teller = Teller(folder, config)
        if arguments[1:2] == ["stuck"]:
            teller.stuck(int(arguments[2]), arguments[3])
        else:
            teller.over()
    return 0


class Teller:
    """A job of the cell in `folder`."""

    def __init__(self, folder: CellFolder, config: Config):
        self.folder = folder
        self.config = config
        self.runs = folder.path.parents[1]
        self.sweep = Sweep(config.sweep_name, config.variant)
        self.place = Place.of(self.runs, self.sweep)

    def stuck(self, number: int, why: str) -> None:
        """An attempt is about to be ended."""
        if not watchers(self.place):
            self._tell([events.of_stuck(self.folder, number, why)])

    def over(self) -> None:
        """The cell's attempt is over."""
        watched = watchers(self.place)
        if watched.here:
            return
        if not watched:
            self._tell(events.of_folder(self.folder))
        cells = self._grid()
        if any(look(cell).state is State.RUNNING for cell in cells[1:]):
            return  # seen without asking Slurm; not the last, in almost every case
        found, entries = self._found(cells)
        deadline, waited = time.monotonic() + PATIENCE_SECONDS, False
        while watchers(self.place) and told.untold(self._meant(found)) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            waited = True
        if not told.untold(self._meant(found)):
            return
        if waited:  # meanwhile it may have sent cells anew
            found, entries = self._found(cells)
        if watchers(self.place):  # who may send more cells than these
            found = [event for event in found if event.kind != END]
        self._tell(found, entries)

    def _found(self, cells: Sequence[Cell]) -> tuple[list[Event], list[Entry]]:
        """What the last job of a sweep has to tell, and the cells; no event where another one runs or waits."""
        entries = reconcile(cells)
        if not entries or not events.over(entries, but=self.folder.signature):
            return [], entries
        return [*events.of_cells(entries), events.end(entries, self.sweep, self.place.notified_file)], entries

    def _grid(self) -> list[Cell]:
        """The sweep's cells: this one, and those behind it, which may run beside it, before those that came before it;
        none where nobody wrote down which they are.
        """
        signatures = self.place.signatures()
        if self.folder.signature not in signatures:
            return []
        mine = signatures.index(self.folder.signature)
        return [self._cell(signature) for signature in [*signatures[mine:], *signatures[:mine]]]

    def _cell(self, signature: str) -> Cell:
        """A cell of the sweep as far as its state goes: its folder, and this cell's site for the bounds."""
        folder = CellFolder(self.runs / "cells" / signature)
        return Cell(self.config, None, signature, {}, folder, Sizes())

    def _meant(self, found: Sequence[Event]) -> list[Event]:
        return [event for event in found if event.kind in self.config.site.notify_on]

    def _tell(self, found: Sequence[Event], entries: Sequence[Entry] = ()) -> None:
        """Tell of what nobody told, a message a kind, the end last."""
        mine, later = told.claim(self.runs, self._meant(found))
        if later:
            _say(f"This job does not wait until it may tell of: {', '.join(sorted({event.kind for event in later}))}.")
        command = self.config.site.notify.strip()
        for kind in sorted({event.kind for event in mine}, key=lambda kind: kind == END):
            these = [event for event in mine if event.kind == kind]
            error = Sending(command, events.facts(these, self.sweep, entries, command)).wait()
            _say(f"site.notify {f'could not tell of the {kind}: {error}' if error else f'told of the {kind}'}.")
            self._settle(kind, these, error)

    def _settle(self, kind: str, found: Sequence[Event], error: str) -> None:
        why = "another process writes for too long"
        try:
            for _ in range(told.TRIES):
                if told.settle(self.runs, found, error):
                    return
        except OSError as trouble:
            why = str(trouble)
        _say(f"What came of telling of the {kind} cannot be written down, so it counts as told: {why}")


def _say(text: str) -> None:
    """In the log of the job: who watches a rank has no other output."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
