"""usage: python -m gta report sweep=NAME [name=value ...]

One HTML file about a grid, results/NAME/report.html, that opens offline: the table, mIoU over the label count, learning
curves, IoU of each class, confusion matrices, predictions, pseudo-labels, cost and provenance, from MLflow (brought up
to date first). Also results/NAME/miou.svg and miou.png. What has no data yet is left out, and said so.
"""

from __future__ import annotations

from pathlib import Path

from gta.commands import common


def run(arguments: list[str]) -> int:
    master, cells = common.grid(arguments)
    from launch.record import sync

    sweep = str(master.sweep_name)
    sync(cells, sweep)
    from analysis import report
    from gta.commands.table import made_of, short

    frame, table = made_of(sweep, common.look(cells))
    paths = cells[0].config.paths
    for path in report.write(frame, table, paths.tracking_uri, Path(paths.results) / sweep):
        print(short(path))
    return 0
