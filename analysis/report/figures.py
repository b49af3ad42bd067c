"""Tables and curves -> matplotlib figures, for the report, the notebooks and the README.

Okabe and Ito's colours, which people with any kind of colour vision tell apart, and a marker and a line style beside
them; lines are named where they end. No pyplot: a figure here belongs to its caller alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from analysis.report.names import Tags, name_lines, short
from analysis.report.series import Limits, mean_of, seeds_of
from analysis.table import Table
from gta.files import replacing

COLOURS = ("#0072b2", "#c34e00", "#007a5a", "#a8467f", "#7d6b00", "#3a96d6", "#404040")
INK, GRID = "#1c1e21", "#d9dce1"
_MARKERS = "osD^vPX"
_STYLES: tuple = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))  # for the methods after the seventh
_FONT: Any = {"font.size": 9, "svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "gta"}


def looks(rows: Sequence[str]) -> dict[str, dict]:
    """Colour, marker and line style of each method: the same in every figure of a table."""
    count = len(COLOURS)
    return {
        row: {
            "color": COLOURS[i % count],
            "marker": _MARKERS[i % count],
            # the sixth colour, a blue as the first, is dashed
            "linestyle": _STYLES[(i // count + (i % count == 5)) % len(_STYLES)],
        }
        for i, row in enumerate(rows)
    }


def tags(rows: Sequence[str]) -> Tags:
    """Ids for what is drawn of each row, "row0-1" the first of the first: a page switches it off by them."""
    counts = dict.fromkeys(rows, 0)
    places = {row: i for i, row in enumerate(rows)}

    def tag(row: str) -> str:
        counts[row] += 1
        return f"row{places[row]}-{counts[row]}"

    return tag


def miou_over_labels(table: Table) -> Figure:
    """Mean mIoU over the label count (log scale), a line a method, bars one sample standard deviation over seeds.

    With a single label count there is nothing to draw a line over: then a mark a method and a dot
    a seed, one method below the other.
    """
    return _dots(table) if len(table.columns) == 1 else _lines(table)


def _lines(table: Table) -> Figure:
    figure, axes = empty("mIoU (%)", "labeled images (log scale)")
    labels, distinct = table.label_counts, table.counted
    places = {c: float(labels[c] if distinct else i + 1) for i, c in enumerate(table.columns)}
    axes.set_xscale("log" if distinct else "linear")
    if not distinct:
        axes.set_xlabel("labeled images")
    span = math.log(max(places.values()) / min(places.values())) if distinct else len(places) - 1
    step = 0.016 * span
    ends, style, gid = [], looks(table.coloured), tags(table.coloured)
    for i, row in enumerate(table.rows):
        found = [(c, table.entries[row, c]) for c in table.columns if (row, c) in table.entries]
        done = [(c, entry) for c, entry in found if entry.mean is not None]
        if not done:
            continue
        # a step aside for each method, so that error bars do not hide each other
        aside = step * (i - (len(table.rows) - 1) / 2)
        x = [places[c] * math.exp(aside) if distinct else places[c] + aside for c, _ in done]
        y = [float(entry.mean or 0) for _, entry in done]
        bars = [entry.std or 0.0 for _, entry in done]
        drawn = axes.errorbar(
            x, y, yerr=bars, capsize=3, linewidth=1.8, markersize=5, elinewidth=1.1, label=row, **style[row]
        )
        _mark(drawn, row, gid)
        ends.append((row, x[-1], y[-1]))
    axes.set_xticks(list(places.values()), [column.replace(" ", "\n") for column in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.08)
    name_lines(axes, ends, style, gid)
    return figure


def _dots(table: Table) -> Figure:
    (column,) = table.columns
    figure, axes = empty(
        "", f"mIoU (%) at {column} labels", height=0.9 + 0.26 * max(3, len(table.rows)), right=0.97, left=0.47
    )
    style, gid = looks(table.coloured), tags(table.coloured)
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set_yticks(range(len(table.rows)), [short(row, 28) for row in table.rows])
    for place, row in enumerate(table.rows):
        entry = table.entries[row, column]
        if entry.mean is None:
            continue
        seeds = [float(score.last or 0) for score in entry.done]
        dots = {"color": style[row]["color"], "alpha": 0.7, "markersize": 4, "gid": gid(row)}
        axes.plot(seeds, [place + 0.27] * len(seeds), ".", **dots)
        drawn = axes.errorbar(
            [entry.mean], [place], xerr=[entry.std or 0], capsize=3, markersize=5.5, label=row, **style[row]
        )
        _mark(drawn, row, gid)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.grid(visible=False, axis="y")
    return figure


def curves(
    points: pd.DataFrame,
    rows: Sequence[str],
    ylabel: str = "mIoU (%)",
    share: bool = False,
    of: Sequence[str] = (),
    limits: Limits | None = None,
    warm_up: Sequence[int] = (),
) -> Figure:
    """One panel: a thin line for each seed, a thick one for the mean of each method in `rows`, over the iterations.

    `points` as `analysis.report.history` gives them, of one column; with `share` they are 0 to 1, shown in percent. The
    mean is drawn where all seeds of the method that were logged at all have a value. `of`: the rows by whose places
    they are coloured (`Table.coloured`): a method has the colour of the other figures in whichever panel it stands.
    `limits`: of the axes, in what is shown, where panels share one scale; `warm_up`: iterations to mark.
    """
    figure, axes = empty(ylabel, "iteration")
    ends, style, gid = [], looks(of or rows), tags(of or rows)
    factor = 100.0 if share else 1.0
    for row in rows:
        seeds = seeds_of(points, row, factor)
        plain = {"color": style[row]["color"], "linestyle": style[row]["linestyle"]}
        if len(seeds) > 1:
            for line in seeds.values():
                axes.plot(line.index, line.to_numpy(), linewidth=0.8, alpha=0.45, gid=gid(row), **plain)
        mean = mean_of(seeds)
        if mean.empty:
            continue
        axes.plot(mean.index, mean.to_numpy(), linewidth=2.2, label=row, gid=gid(row), **plain)
        ends.append((row, float(mean.index[-1]), float(mean.iloc[-1])))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.02)
    limits = limits or Limits.of(points, factor)
    if limits:
        axes.set_xlim(0, limits.right)
        axes.set_ylim(limits.low, limits.high)
    for iteration in warm_up:
        axes.axvline(iteration, color=INK, linewidth=0.9, linestyle=(0, (2, 2)))
        axes.annotate(
            "warm-up ends", (iteration, 1), (3, -1), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=INK, fontsize=7.5, va="top",
        )  # fmt: skip
    name_lines(axes, ends, style, gid)
    return figure


def chunks(rows: Sequence[str], size: int = 6) -> list[list[str]]:
    """The methods of one panel each: all of them, or where that would be a tangle (9 and more) `size` at a time."""
    if len(rows) <= 8:
        return [list(rows)]
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def svg(figure: Figure) -> str:
    """The figure as one `<svg>` element, its text as text; the same for the same figure."""
    out = io.StringIO()
    with matplotlib.rc_context(_FONT):
        undated = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, bbox_inches=whole(figure), metadata=undated)
    text = out.getvalue()
    return text[text.index("<svg") :]


def whole(figure: Figure) -> Bbox:
    """What to draw, in inches: the figure, and to its right as much as the longest name at a line's end needs."""
    needed = figure.get_tightbbox()
    return Bbox.from_extents(0, 0, max(figure.get_figwidth(), needed.x1 + 0.05), figure.get_figheight())


def write_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.svg and `stem`.png (white ground, 150 dots an inch), each atomically."""
    paths = [stem.with_suffix(suffix) for suffix in (".svg", ".png")]
    for path in paths:
        with replacing(path) as temporary, matplotlib.rc_context(_FONT):
            undated = {"Date": None} if path.suffix == ".svg" else {}  # the same file for the same figure
            look: dict[str, Any] = {"dpi": 150, "facecolor": "white", "bbox_inches": whole(figure)}
            figure.savefig(temporary, format=path.suffix[1:], metadata=undated, **look)
    return paths


def _mark(drawn: ErrorbarContainer, row: str, gid: Tags) -> None:
    for artist in drawn.get_children():
        artist.set_gid(gid(row))


def empty(
    ylabel: str, xlabel: str, height: float = 3.1, right: float = 0.76, left: float = 0.12
) -> tuple[Figure, Axes]:
    """A figure with nothing in it: 4.6 inches wide, `height` inches high; `left` and `right` of it are of its width."""
    with matplotlib.rc_context(_FONT):
        figure = Figure(figsize=(4.6, height))
        axes = figure.add_axes((left, 0.62 / height, right - left, 1 - 0.8 / height))
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.tick_params(colors=INK, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    return figure, axes
