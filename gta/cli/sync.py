"""usage: python -m gta sync [sweep=NAME] [name=value ...]

Brings MLflow up to the journals: of the cells of a grid, or, without a sweep, of every cell below paths.runs.
Doing it twice is harmless; each metric is there once. Runs that a dead process left RUNNING are closed, and what a
server has lost is sent again.
"""

from __future__ import annotations

from gta.cli import options as common


def run(arguments: list[str]) -> int:
    from launch.submit.recorder import alive

    if any(argument.startswith("sweep=") for argument in arguments):
        from launch.submit.recorder import sweep_tags

        master, cells = common.grid(arguments)
        folders = [cell.folder.path for cell in cells if cell.folder.frozen]
        sweeps, uri = sweep_tags(str(master.sweep_name)), cells[0].config.paths.tracking_uri
    else:
        from pathlib import Path

        from gta.cellfolder import cell_folders
        from launch.grid.grid import master_config, paths_of

        overrides = common.overrides_of(arguments)
        paths = paths_of(master_config(common.start(), overrides))
        folders = [folder.path for folder in cell_folders(Path(paths.runs))]
        sweeps, uri = [], paths.tracking_uri
    from gta.tracking import sync as tracking

    report = tracking.sync(folders, uri, sweeps, alive=alive, check=True)
    print(report)
    return 1 if report.problems else 0
