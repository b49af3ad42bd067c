"""usage: python -m gta report sweep=NAME [baseline=ROW] [published=false] [best=false] [name=value ...]

One HTML file about a grid, results/NAME/report.html, that opens offline: the table, mIoU over the label count, learning
curves, IoU of each class, confusion matrices, predictions, pseudo-labels, cost and provenance, from MLflow (brought up
to date first). Also results/NAME/miou.svg and miou.png. What has no data yet is left out, and said so.
`baseline`, `published` and `best` are those of `python -m gta table`.
"""

from __future__ import annotations

import os
from pathlib import Path

from gta.cli import options as common
from gta.cli.table import OPTIONS, build


def run(arguments: list[str]) -> int:
    options, overrides = common.split_options(arguments, OPTIONS)
    master, cells = common.grid(overrides, list(OPTIONS))
    from launch.submit.recorder import sync

    sweep = str(master.sweep_name)
    sync(cells, sweep)
    frame, table = build(sweep, common.look(cells), overrides, options)
    from analysis.report import report

    paths = cells[0].config.paths
    for path in report.write_report(frame, table, paths.tracking_uri, Path(paths.results) / sweep):
        print(os.path.relpath(path))
    return 0
