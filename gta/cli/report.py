"""`gta report`."""

from __future__ import annotations

import os
from pathlib import Path

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words
from gta.cli.table import Shown, build, say, together


@grammar.command(
    "report",
    exit_codes="0; 1 MLflow could not be brought up to date; 2 something to mend first",
    examples=["gta report sweep=shapes", "gta report sweep=voc_blender --baseline supervised"],
)
@grammar.words()
@options.table
def command(words: Words, baseline: str, published: str, best: bool) -> int:
    """One HTML file about a grid, with figures and predictions.

    results/NAME/report.html, which opens offline: the table, mIoU over the label count, learning curves, IoU of each
    class, confusion matrices, predictions, pseudo-labels, cost and provenance, from MLflow (brought up to date first).
    Also results/NAME/miou.svg and miou.png. What has no data yet is left out, and said so.
    """
    master, cells = composing.recorded_grid(words.overrides)
    from launch.submit.recorder import sync

    sweep = str(master.sweep_name)
    problems = sync(cells, sweep)
    frame, table, unread = build(sweep, composing.look(cells), words.overrides, Shown(baseline, published, best))
    from analysis.report import report

    paths = cells[0].config.paths
    for path in report.write_report(frame, table, paths.tracking_uri, Path(paths.results) / sweep):
        print(os.path.relpath(path))
    problems = together(problems, unread)
    say([*problems, unread.damaged])
    return int(bool(problems))
