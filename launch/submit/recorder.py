"""Bringing MLflow up to the journals: while cells run, and when a command asks. This process is the store's writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gta.cell import Cell
from gta.cellfolder import CellFolder, readable
from gta.config import Config
from gta.sweep import Sweep
from gta.tracking import sync as tracking
from launch.state.ledger import Entry, State

SYNC_SECONDS = 60.0
MEANWHILE_SECONDS = 2.0  # for another writer, while cells run: who is busy is asked again a minute later


def sync(
    cells: Sequence[Cell], sweep: Sweep, say: Callable[[str], None] = print, patience: float | None = None
) -> list[str]:
    """Bring MLflow up to the journals of the cells. A store that is down, or that another process writes to for longer
    than `patience` seconds, costs a sentence of those that are handed back, never a metric; what was put right is said.
    """
    present = [cell for cell in cells if cell.folder.frozen]
    rows = list(dict.fromkeys(cell.row for cell in cells))
    problems = []
    for uri in sorted({cell.config.paths.tracking_uri for cell in present}):
        folders = [cell.folder.path for cell in present if cell.config.paths.tracking_uri == uri]
        report = tracking.sync(
            folders, uri, named(sweep), alive=alive, patience=patience, rows=rows, grid=places(cells)
        )
        for note in report.notes:
            say(note)
        problems += [f"MLflow is not up to date: {problem}" for problem in report.problems]
    return problems


def places(cells: Sequence[Cell]) -> dict[str, tuple[str, str]]:
    """Signature -> row and column of a whole grid; empty where one signature is not known."""
    return {cell.signature: (cell.row, cell.column) for cell in cells} if all(cell.recorded for cell in cells) else {}


def alive(folder: Path) -> bool | None:
    """Whether a process works on the cell in `folder`; None where no attempt was counted."""
    last = readable(CellFolder(folder).latest_attempt, say=lambda _: None)
    return last.alive() if last else None


def named(sweep: Sweep) -> list[Sweep]:
    """The sweeps to tag a run with: none for a grid without a name."""
    return [] if sweep.name == Config().sweep_name else [sweep]


def prepare(cells: Sequence[Cell], sweep: Sweep) -> None:
    """Before any job: refuse a tracking URI or sweep name that could never be written to. The store itself is made when
    there is something to send.
    """
    for uri in sorted({cell.config.paths.tracking_uri for cell in cells}):
        tracking.sync([], uri, named(sweep))


class Recorder:
    """Writes journals to MLflow now and then: when a cell is over, and once a minute."""

    def __init__(self, cells: Sequence[Cell], sweep: Sweep):
        self.cells = cells
        self.sweep = sweep
        self.over = -1
        self.last = time.monotonic()
        self.said: set[str] = set()

    def sometimes(self, entries: Sequence[Entry]) -> None:
        over = sum(entry.state in (State.DONE, State.FAILED) for entry in entries)
        if over != self.over or time.monotonic() - self.last > SYNC_SECONDS:
            self.over = over
            self.now(MEANWHILE_SECONDS)

    def now(self, patience: float | None = None) -> bool:
        """Whether MLflow has everything now; why it has not is said."""
        problems = sync(self.cells, self.sweep, patience=patience)
        for problem in problems:
            self._warn(problem)
        self.last = time.monotonic()
        return not problems

    def _warn(self, text: str) -> None:
        """Each trouble once: a store that is down stays down for a while."""
        if text not in self.said:
            self.said.add(text)
            print(text)
