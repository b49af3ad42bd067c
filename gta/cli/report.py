"""`gta report`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gta.cellfolder import CellFolder
from gta.cli import composing, grammar, options
from gta.cli.grammar import Words
from gta.cli.publishing import publish
from gta.cli.table import Shown, build, say, together
from gta.errors import UserError
from gta.sweep import Sweep


@grammar.command(
    "report",
    exit_codes="0; 1 MLflow could not be brought up to date; 2 something to mend first",
    examples=["gta report sweep=shapes", "gta report sweep=voc_blender --baseline supervised"],
)
@grammar.words()
@options.table
def command(words: Words, **shown: Any) -> int:
    """One HTML file about a grid, with figures and predictions.

    results/NAME/report.html, which opens offline: the table, settings, mIoU over the label count, learning curves, IoU
    of each class, confusion matrices, predictions, pseudo-labels, cost and provenance, from MLflow (brought up to date
    first). Rows can be switched off and sorted there, values read off the curves, pictures enlarged. Also
    results/NAME/miou.svg and miou.png; of a variant, in results/NAME/variants/WHAT_DIFFERS. What has no data yet is
    left out, and said so.
    """
    master, cells = composing.recorded_grid(words.overrides)
    from launch.grid.grid import sweep_of
    from launch.submit.recorder import sync

    sweep = sweep_of(master)
    problems = sync(cells, sweep)
    entries = composing.look(cells)
    frame, table, unread = build(sweep, entries, words.overrides, Shown(**shown))
    from analysis.report import report

    paths = cells[0].config.paths
    links = {cell.signature: _links(cell.folder) for cell in cells if cell.recorded}
    folder, declared = (one.results(paths.results) for one in (sweep, Sweep(sweep.name)))
    files = report.write_report(frame, table, paths.tracking_uri, folder, links, declared)
    for path in files:
        print(os.path.relpath(path))
    if sweep.unnamed:
        print(sweep.unnamed)
    if not unread.store:
        problems += publish(sweep, entries, table, files)
    problems = together(problems, unread)
    say([*problems, unread.damaged])
    return int(bool(problems))


def _links(folder: CellFolder) -> dict[str, Path]:
    """What of a cell the page links to: its folder, and its log where it has one."""
    from launch.show import logs

    try:
        return {"cell": folder.path, "log": logs.find(folder, say=lambda _: None).path}
    except (UserError, OSError):
        return {"cell": folder.path}
