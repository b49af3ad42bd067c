"""usage: python -m gta table sweep=NAME [name=value ...]

The results table of a grid, from MLflow (brought up to date first): printed, and written to
results/NAME/table.md, table.tex and table.csv. A cell without a number is named with its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gta.commands import common

if TYPE_CHECKING:
    from launch.ledger import Entry


def run(arguments: list[str]) -> int:
    master, cells = common.grid(arguments)
    from launch.record import sync

    sync(cells, str(master.sweep_name))
    show(str(master.sweep_name), common.look(cells))
    return 0


def show(sweep: str, entries: list[Entry]) -> None:
    """Print the table of a grid and write its files."""
    from analysis import render, runs, table
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
    paths = cells[0].config.paths
    tagged = sweep_tags(sweep)  # one query; a grid without a name is asked for cell by cell
    frame = runs.load(paths.tracking_uri, None if tagged else [cell.signature for cell in cells], *tagged)
    made = table.build(frame, wanted, title=sweep)
    folder = Path(paths.results) / sweep
    files = render.write(made, folder)
    print(f"\n{render.terminal(made)}\n")
    print(f"table: {', '.join(str(_short(path)) for path in files)}")
    print(f"MLflow: make mlflow (or: mlflow ui --backend-store-uri {paths.tracking_uri})")


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
