"""For notebooks: a sweep's runs and table from the store of this project, with no grid at hand.

Looks for `runs/mlflow.db`, which `make sweep` makes, in the current folder and those above it, so that a notebook works
wherever below the project it is opened. `MLFLOW_TRACKING_URI` names another store.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from analysis import runs, table
from analysis.cells import cells_of
from analysis.report.history import RunHistory
from gta.errors import UserError
from gta.masking import masked

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


def load(sweep: str) -> tuple[pd.DataFrame, table.Table, RunHistory]:
    """The sweep's runs (as `analysis.runs.load`), its table (rows in the sweep's order), and what its runs logged.

    Cells that never started are not in MLflow, and so not in this table; `gta table` knows them. Raises
    UserError where there is no store, or no run of that sweep in it.
    """
    uri = tracking_uri()
    frame = runs.load(uri, sweep=sweep)
    if frame.empty:
        raise UserError(f"no run of the sweep {sweep!r} is in {masked(uri)}: run it, or `gta sync sweep={sweep}`.")
    order = runs.row_order(uri, sweep)
    places = {row: place for place, row in enumerate(order)}
    cells = sorted(cells_of(frame), key=lambda cell: places.get(cell.row, len(places)))
    made = table.build(frame, cells, title=sweep, order=order)
    return frame, made, RunHistory(uri, frame, made)


def differences(made: table.Table, baseline: str) -> pd.DataFrame:
    """Mean mIoU of each row less that of `baseline`, in percentage points, and the entries' own texts; a row a row."""
    if baseline not in made.rows:
        raise UserError(f"{baseline!r} is no row of this table; there are {', '.join(made.rows)}.")
    lines: dict[str, dict[str, object]] = {row: {} for row in made.rows}
    for (row, column), entry in made.entries.items():
        base = made.entries.get((baseline, column))
        lines[row][column] = entry.mean
        known = entry.mean is not None and base is not None and base.mean is not None
        lines[row][f"{column} less {baseline}"] = entry.mean - base.mean if known else None  # type: ignore[union-attr,operator]
    columns = [name for column in made.columns for name in (column, f"{column} less {baseline}")]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).astype("float64")
