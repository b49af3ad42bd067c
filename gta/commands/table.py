"""usage: python -m gta table sweep=NAME [name=value ...]

The results table of a grid, from MLflow (brought up to date first): printed, and written to
results/NAME/table.md, table.tex and table.csv. A cell without a number is named with its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gta.commands import common

if TYPE_CHECKING:
    import pandas as pd

    from analysis.table import Table
    from launch.ledger import Entry


def run(arguments: list[str]) -> int:
    master, cells = common.grid(arguments)
    from launch.record import sync

    sync(cells, str(master.sweep_name))
    show(str(master.sweep_name), common.look(cells))
    return 0


def show(sweep: str, entries: list[Entry]) -> None:
    """Print the table of a grid and write its files."""
    from analysis import render

    _, made = made_of(sweep, entries)
    paths = entries[0].cell.config.paths
    folder = Path(paths.results) / sweep
    files = render.write(made, folder)
    print(f"\n{render.terminal(made)}\n")
    print(f"table: {', '.join(str(short(path)) for path in files)}")
    print(f"MLflow: make mlflow (or: mlflow ui --backend-store-uri {paths.tracking_uri})")


def made_of(sweep: str, entries: list[Entry]) -> tuple[pd.DataFrame, Table]:
    """The runs of a grid in MLflow, and its table."""
    from analysis import runs, table
    from launch.record import sweep_tags

    cells = [entry.cell for entry in entries]
    wanted = [
        table.Wanted(
            signature=entry.cell.signature,
            row=entry.cell.row,
            column=entry.cell.column,
            labels=len(entry.cell.split.labeled),
            seed=entry.cell.config.seed,
            reason=entry.reason,
        )
        for entry in entries
    ]
    tagged = sweep_tags(sweep)  # one query; a grid without a name is asked for cell by cell
    uri = cells[0].config.paths.tracking_uri
    frame = runs.load(uri, None if tagged else [cell.signature for cell in cells], *tagged)
    return frame, table.build(frame, wanted, title=sweep)


def short(path: Path) -> Path:
    """The path as one would write it from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
