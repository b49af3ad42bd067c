"""`gta sync`."""

from __future__ import annotations

from gta.cli import composing, grammar
from gta.cli.grammar import Words


@grammar.command(
    "sync",
    exit_codes="0 well, 1 something could not be sent, 2 something to mend first",
    examples=["gta sync", "gta sync sweep=shapes", "gta sync paths.tracking_uri=http://mlflow:5000"],
)
@grammar.words()
def command(words: Words) -> int:
    """Bring MLflow up to the journals of cells.

    Of a grid, or, without a sweep, of every cell below paths.runs. Doing it twice is harmless; each metric is there
    once. Runs that a dead process left RUNNING are closed, and what a server has lost is sent again.
    """
    from launch.submit.recorder import alive

    if any(word.startswith("sweep=") for word in words.overrides):
        from launch.grid.grid import sweep_of
        from launch.submit.recorder import named, places

        master, cells = composing.recorded_grid(words.overrides)
        folders = [cell.folder.path for cell in cells if cell.folder.frozen]
        rows, grid = list(dict.fromkeys(cell.row for cell in cells)), places(cells)
        sweeps, uri = named(sweep_of(master)), cells[0].config.paths.tracking_uri
    else:
        from pathlib import Path

        from gta.cellfolder import cell_folders
        from launch.grid.grid import master_config, paths_of

        overrides = composing.protected(words.overrides)
        paths = paths_of(master_config(composing.start(), overrides, composing.own_options()))
        folders = [folder.path for folder in cell_folders(Path(paths.runs))]
        sweeps, rows, grid, uri = [], [], {}, paths.tracking_uri
    from gta.tracking import sync as tracking

    report = tracking.sync(folders, uri, sweeps, alive=alive, check=True, rows=rows, grid=grid)
    print(report)
    return 1 if report.problems or report.damaged else 0
