"""For notebooks: a sweep's runs and table from the store of this project, with no grid at hand.

Looks for `runs/mlflow.db`, which `make sweep` makes, in the current folder and those above it, so that a notebook works
wherever below the project it is opened. `MLFLOW_TRACKING_URI` names another store.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis import own, runs, table
from analysis.cells import TableCell, cells_of
from analysis.report.history import RunHistory
from gta.errors import UserError
from gta.masking import masked
from gta.sweep import Sweep
from gta.tracking import keys

STORE = Path("runs/mlflow.db")


def tracking_uri(start: Path | None = None) -> str:
    """URI of the store; UserError where there is none."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / STORE).is_file():
            return f"sqlite:///{folder / STORE}"
    raise UserError(
        f"there is no {STORE} in {start} or above it: `make sweep` makes it, or name a store with MLFLOW_TRACKING_URI."
    )


def load(sweep: str, variant: str = "", baseline: str = "") -> tuple[pd.DataFrame, table.Table, RunHistory]:
    """The sweep's runs (as `analysis.runs.load`), its table (rows in the sweep's order), and what its runs logged.

    The sweep is the one that its file declares; `variant` names one of its variants instead, by its folder's name
    (seed-0) or by what differs (seed=0). `baseline` is the row that the others are compared with. Cells that never
    started are not in MLflow, and so not in this table, whose footer says how many these are; `gta table` names them.
    Rows and columns are called as `gta table` calls them in this sweep, whatever another one called a cell; where
    MLflow does not say how, as an older version wrote it, the footer and `mixed` do. Raises UserError where there is no
    store, no such variant or row, or no run of it.
    """
    uri = tracking_uri()
    declared = own.sweep_run(uri, sweep)
    chosen = _variant(uri, sweep, variant) if variant else declared
    frame = runs.load(uri, chosen.grid or None, chosen.tag, lambda why: warnings.warn(why, stacklevel=2))
    if frame.empty:
        there = f"; {told}" if (told := _there_are(uri, sweep)) else ""
        raise UserError(
            f"no run of the sweep {sweep!r} is in {masked(uri)}: run it, or `gta sync sweep={sweep}`{there}."
        )
    places = {row: place for place, row in enumerate(chosen.rows)}
    cells = [_placed(cell, chosen.grid) for cell in cells_of(frame)]
    cells.sort(key=lambda cell: places.get(cell.row, len(places)))
    if not chosen.grid and len({(cell.row, cell.column, cell.seed) for cell in cells}) < len(cells):
        raise UserError(
            f"{masked(uri)} has runs of {sweep!r} and of try-outs, and does not say which are which, as an older "
            f"version wrote it: `gta sync sweep={sweep}` tells it."
        )
    title = Sweep(sweep, chosen.variant).title
    made = table.build(frame, cells, title=title, baseline=baseline, order=declared.rows or chosen.rows)
    if absent := set(chosen.grid) - set(frame["signature"]):
        count = f"{len(absent)} of the sweep's {len(chosen.grid)} cells have"
        made.notes.append(f"{count} no run in this store, and no place in this table.")
    if unplaced := sum(chosen.grid.get(cell.signature, keys.NOWHERE) == keys.NOWHERE for cell in cells):
        named = f"{unplaced} of {len(cells)} cells in rows that may be called by other sweeps, and mix settings"
        grid = f"sweep={sweep} {chosen.variant}".strip()
        made.notes.append(f"MIXED: {named}; `gta sync {grid}` tells MLflow how this sweep calls them.")
        made.mixed.append(named)
    return frame, made, RunHistory(uri, frame, made)


def _placed(cell: TableCell, grid: Mapping[str, keys.Place]) -> TableCell:
    """The cell in the sweep's own row and column; a run itself has what the sweep that froze it last called them."""
    row, column = grid.get(cell.signature, keys.NOWHERE)
    return replace(cell, row=row, column=column) if row else cell


def _variant(uri: str, sweep: str, name: str) -> own.SweepRun:
    for run in own.variants(uri, sweep):
        if name in (run.tag.removeprefix(f"{sweep}/"), run.variant):
            return run
    there = _there_are(uri, sweep) or "there is none"
    raise UserError(f"the sweep {sweep!r} has no variant {name!r} in {masked(uri)}; {there}.")


def _there_are(uri: str, sweep: str) -> str:
    """The variants that there are, by the names of their folders."""
    names = [run.tag.removeprefix(f"{sweep}/") for run in own.variants(uri, sweep)]
    return f"its variants are {', '.join(names)}" if names else ""
