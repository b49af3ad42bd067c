"""Rows of a table against its baseline -> matplotlib figures, for the notebooks: differences by row, and by class."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from analysis.report import numbers
from analysis.report.figures import COLOURS, GRID, INK, empty, looks
from analysis.report.names import short
from analysis.table import Table
from gta.errors import UserError

_BELOW, _ABOVE = COLOURS[1], COLOURS[0]
_SIDE_BY_SIDE = 3  # names of rows that have room beside each other
_LONGEST = 28  # characters of a row's name


def differences(table: Table, column: str) -> Figure:
    """Of one column each row's mean mIoU less the baseline's, paired by seed, in points: a mark a row, one below the
    other; a bar is the 95 % confidence interval, which three seeds and more have. Raises UserError for a table without
    a baseline.
    """
    rows = _others(table)
    figure, axes = empty("", "points of mIoU", height=1.0 + 0.26 * max(3, len(rows)), right=0.97, left=0.36)
    _title(figure, table, "mIoU", column)
    style = looks(table.coloured)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [short(row, _LONGEST) for row in rows])
    axes.axvline(0, color=INK, linewidth=0.9)
    for place, row in enumerate(rows):
        found = table.comparison(row, column)
        if found is None or found.difference is None:
            continue
        known = found.low is not None and found.high is not None
        reach = [[found.difference - found.low], [found.high - found.difference]] if known else None  # type: ignore[operator]
        axes.errorbar([found.difference], [place], xerr=reach, capsize=3, markersize=5.5, label=row, **style[row])
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.grid(visible=False, axis="y")
    return figure


def class_differences(frame: pd.DataFrame, table: Table, column: str) -> Figure:
    """Of one column each class's IoU less the baseline's, paired by seed, in points: a line a class, a field a row,
    blue where it is above the baseline and orange where below; a dash where no seed of both has the class, and a
    sentence where no run has its IoU by class. `frame` as `analysis.runs.load` gives it. Raises UserError as
    `differences`.
    """
    rows = _others(table)
    found = numbers.class_differences(frame, table, table.baseline)
    less = numbers.by_class(found, table, column).reindex(columns=rows)
    most = float(less.abs().max().max()) or 1.0
    most = 1.0 if math.isnan(most) else most
    upright = len(rows) > _SIDE_BY_SIDE
    width, below = max(4.6, 1.4 + 0.5 * len(rows)), 1.8 if upright else 0.4  # inches
    height = below + 0.4 + 0.24 * max(2, len(less))
    figure, axes = empty("", "", height)
    figure.set_size_inches(width, height)
    axes.set_position((1.3 / width, below / height, 1 - 1.4 / width, 1 - (below + 0.4) / height))
    _title(figure, table, "IoU", column)
    colours = LinearSegmentedColormap.from_list("differences", [_BELOW, "#ffffff", _ABOVE])
    if less.empty:
        axes.text(0.5, 0.5, "No finished run has its IoU by class.", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return figure
    axes.imshow(less.to_numpy(), cmap=colours, vmin=-most, vmax=most, aspect="auto")
    axes.set_xticks(
        range(len(rows)), [short(row, 20 if upright else 14) for row in rows], rotation=90 if upright else 0
    )
    axes.set_yticks(range(len(less)), [short(str(name), 18) for name in less.index])
    axes.grid(visible=False)
    for line, values in enumerate(less.to_numpy()):
        for place, value in enumerate(values):
            text = "–" if math.isnan(value) else f"{value:+.1f}"
            dark = not math.isnan(value) and abs(value) > 0.6 * most
            axes.text(place, line, text, ha="center", va="center", size=8, color="white" if dark else INK)
    return figure


def _title(figure: Figure, table: Table, score: str, column: str) -> None:
    text = f"{score} less that of {short(table.baseline, _LONGEST)}, at {column} labels"
    figure.axes[0].set_title(text, size=9, color=INK, loc="right", pad=4)


def _others(table: Table) -> list[str]:
    if not table.baseline:
        raise UserError("This table has no baseline: give one (analysis.project.load(SWEEP, baseline=ROW)).")
    return [row for row in table.rows if row != table.baseline]
