"""Bringing MLflow up to the journals: while cells run, and when a command asks. This process is the store's writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.config import Config
from gta.tracking import store
from gta.tracking import sync as tracking
from launch.state.ledger import Entry, State

SYNC_SECONDS = 60.0


def sync(cells: Sequence[Cell], sweep: str, warn: Callable[[str], None] = print) -> None:
    """Bring MLflow up to the journals of the cells. A store that is down costs a line, never a metric."""
    present = [cell for cell in cells if cell.folder.frozen]
    for uri in sorted({cell.config.paths.tracking_uri for cell in present}):
        folders = [cell.folder.path for cell in present if cell.config.paths.tracking_uri == uri]
        for problem in tracking.sync(folders, uri, sweep_tags(sweep), alive=alive).problems:
            warn(f"MLflow is not up to date: {problem}; `gta sync` does it later.")


def alive(folder: Path) -> bool | None:
    """Whether a process works on the cell in `folder`; None where no attempt was counted."""
    last = CellFolder(folder).latest_attempt()
    return last.alive() if last else None


def sweep_tags(sweep: str) -> list[str]:
    """The sweeps to tag a run with: none for a grid without a name."""
    return [] if sweep == Config().sweep_name else [sweep]


def prepare(cells: Sequence[Cell], sweep: str) -> None:
    """Before any job: refuse a tracking URI or sweep name that cannot be written to, and make an SQLite store once."""
    for uri in sorted({cell.config.paths.tracking_uri for cell in cells}):
        tracking.sync([], uri, sweep_tags(sweep))  # nothing to send; raises UserError for what could never be
        if not store.exists(store.normal(uri)):
            store.create(uri)


class Recorder:
    """Writes journals to MLflow now and then: when a cell is over, and once a minute."""

    def __init__(self, cells: Sequence[Cell], sweep: str):
        self.cells = cells
        self.sweep = sweep
        self.over = -1
        self.last = time.monotonic()
        self.said: set[str] = set()

    def sometimes(self, entries: Sequence[Entry]) -> None:
        over = sum(entry.state in (State.DONE, State.FAILED) for entry in entries)
        if over != self.over or time.monotonic() - self.last > SYNC_SECONDS:
            self.over = over
            self.now()

    def now(self) -> None:
        sync(self.cells, self.sweep, self._warn)
        self.last = time.monotonic()

    def _warn(self, text: str) -> None:
        """Each trouble once: a store that is down stays down for a while."""
        if text not in self.said:
            self.said.add(text)
            print(text)
