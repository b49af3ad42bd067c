"""Tables and curves -> matplotlib figures, for the report, the notebooks and the README.

Okabe and Ito's colours, which people with any kind of colour vision tell apart, and a marker and a line style beside
them; lines are named where they end. No pyplot: a figure here belongs to its caller alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis.table import Table
from gta.files import replacing

COLOURS = ("#0072b2", "#c34e00", "#007a5a", "#a8467f", "#7d6b00", "#3a96d6", "#404040")
INK, GRID = "#1c1e21", "#d9dce1"
_MARKERS = "osD^vPX"
_STYLES: tuple = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))  # for the methods after the seventh
_FONT: Any = {"font.size": 9, "svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "gta"}
POINTS_PER_LINE = 12  # what a label at a line's end needs


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


def miou_over_labels(table: Table) -> Figure:
    """Mean mIoU over the label count (log scale), a line a method, bars one sample standard deviation over seeds.

    With a single label count there is nothing to draw a line over: then a mark a method and a dot
    a seed, one method below the other.
    """
    return _dots(table) if len(table.columns) == 1 else _lines(table)


def _lines(table: Table) -> Figure:
    figure, axes = _empty("mIoU (%)", "labeled images (log scale)")
    labels = {c: e.scores[0].cell.labels for (_, c), e in table.entries.items()}
    distinct = len(set(labels.values())) == len(labels)
    places = {c: float(labels[c] if distinct else i + 1) for i, c in enumerate(table.columns)}
    axes.set_xscale("log" if distinct else "linear")
    if not distinct:
        axes.set_xlabel("labeled images")
    span = math.log(max(places.values()) / min(places.values())) if distinct else len(places) - 1
    step = 0.016 * span
    ends, style = [], looks(table.coloured)
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
        axes.errorbar(x, y, yerr=bars, capsize=3, linewidth=1.8, markersize=5, elinewidth=1.1, label=row, **style[row])
        ends.append((row, x[-1], y[-1]))
    axes.set_xticks(list(places.values()), [column.replace(" ", "\n") for column in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.08)
    _name_lines(axes, ends, style)
    return figure


def _dots(table: Table) -> Figure:
    (column,) = table.columns
    figure, axes = _empty(
        "", f"mIoU (%) at {column} labels", height=0.9 + 0.26 * max(3, len(table.rows)), right=0.97, left=0.47
    )
    style = looks(table.coloured)
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set_yticks(range(len(table.rows)), [_short(row, 28) for row in table.rows])
    for place, row in enumerate(table.rows):
        entry = table.entries[row, column]
        if entry.mean is None:
            continue
        seeds = [float(score.last or 0) for score in entry.done]
        axes.plot(seeds, [place + 0.27] * len(seeds), ".", color=style[row]["color"], alpha=0.7, markersize=4)
        axes.errorbar(
            [entry.mean], [place], xerr=[entry.std or 0], capsize=3, markersize=5.5, label=row, **style[row]
        )  # fmt: skip
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.grid(visible=False, axis="y")
    return figure


def curves(
    points: pd.DataFrame,
    rows: Sequence[str],
    ylabel: str = "mIoU (%)",
    share: bool = False,
    of: Sequence[str] = (),
) -> Figure:
    """One panel: a thin line for each seed, a thick one for the mean of each method in `rows`, over the iterations.

    `points` as `analysis.report.history` gives them, of one column; with `share` they are 0 to 1, shown in percent. The
    mean is drawn where all seeds of the method that were logged at all have a value. `of`: the rows by whose places
    they are coloured (`Table.coloured`): a method has the colour of the other figures in whichever panel it stands.
    """
    figure, axes = _empty(ylabel, "iteration")
    ends, style = [], looks(of or rows)
    factor = 100.0 if share else 1.0
    for place, row in enumerate(rows):
        mine = points[points["row"] == row]
        if mine.empty:
            continue
        plain = {"color": style[row]["color"], "linestyle": style[row]["linestyle"]}
        seeds = mine.pivot_table(index="iteration", columns="seed", values="value") * factor
        if seeds.shape[1] > 1:
            for seed in seeds:
                line = seeds[seed].dropna()
                axes.plot(line.index, line.to_numpy(), linewidth=0.8, alpha=0.45, gid=f"seed-{place}-{seed}", **plain)
        mean = seeds.dropna().mean(axis=1)
        if mean.empty:
            continue
        axes.plot(mean.index, mean.to_numpy(), linewidth=2.2, label=row, gid=f"mean-{place}", **plain)
        ends.append((row, float(mean.index[-1]), float(mean.iloc[-1])))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.02)
    if ends:
        axes.set_xlim(left=0)
    low, high = axes.get_ylim()
    middle, half = (low + high) / 2, max((high - low) / 2, 2)  # what hardly moves is not to look as if it did
    axes.set_ylim(middle - half, min(middle + half, 100.5))
    _name_lines(axes, ends, style)
    return figure


def chunks(rows: Sequence[str], size: int = 6) -> list[list[str]]:
    """The methods of one panel each: all of them, or where that would be a tangle (9 and more) `size` at a time."""
    if len(rows) <= 8:
        return [list(rows)]
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def svg(figure: Figure) -> str:
    """The figure as one <svg> element, its text as text; the same for the same figure."""
    out = io.StringIO()
    with matplotlib.rc_context(_FONT):
        undated = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=undated)
    text = out.getvalue()
    return text[text.index("<svg") :]


def write_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.svg and `stem`.png (white ground, 150 dots an inch), each atomically."""
    paths = [stem.with_suffix(suffix) for suffix in (".svg", ".png")]
    for path in paths:
        with replacing(path) as temporary, matplotlib.rc_context(_FONT):
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, facecolor="white", metadata={})
    return paths


def _empty(
    ylabel: str, xlabel: str, height: float = 3.1, right: float = 0.76, left: float = 0.12
) -> tuple[Figure, Axes]:
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


def _name_lines(axes: Axes, ends: Iterable[tuple[str, float, float]], style: dict[str, dict]) -> None:
    """Write each method's name beside the end of its line, spread so that no two names overlap."""
    low, high = axes.get_ylim()
    inches = axes.get_figure().get_size_inches()[1] * axes.get_position().height  # type: ignore[union-attr]
    step = (high - low) * POINTS_PER_LINE / (inches * 72)
    ends = sorted(ends, key=lambda end: end[2])
    places = spread([y for _, _, y in ends], step, low, high)
    right = axes.get_xlim()[1]
    for (row, _, y), place in zip(ends, places, strict=True):
        axes.annotate(
            _short(row, 17), (right, y), (9, (place - y) / step * POINTS_PER_LINE), textcoords="offset points",
            color=style[row]["color"], va="center", fontsize=8.5, annotation_clip=False, weight="bold",
        )  # fmt: skip
    axes.set_ylim(low, high)


def spread(values: Sequence[float], step: float, low: float, high: float) -> list[float]:
    """Places for labels of sorted `values`: in order, at least `step` apart, as near as that allows, and within low
    to high where there is room."""
    groups: list[list[float]] = []  # each is a run of labels that touch: [sum of wished centres, count]
    for value in values:
        groups.append([value, 1.0])
        while len(groups) > 1 and _top(groups[-2], step) + step > _bottom(groups[-1], step):
            total, count = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + count]
    places = [
        _bottom(group, step) + i * step for group in groups for i in range(int(group[1]))
    ]  # fmt: skip
    if places:
        shift = max(0.0, low - places[0]) or min(0.0, high - places[-1])
        places = [place + shift for place in places]
    return places


def _bottom(group: list[float], step: float) -> float:
    return group[0] / group[1] - (group[1] - 1) * step / 2


def _top(group: list[float], step: float) -> float:
    return group[0] / group[1] + (group[1] - 1) * step / 2


def _short(name: str, most: int) -> str:
    """At most so many characters; the end stays, since it is often what tells two names apart."""
    name = " ".join(name.split())
    if len(name) > most:
        name = name[: most - most // 2 - 1] + "…" + name[-(most // 2) :]
    return name.replace("$", r"\$")  # matplotlib reads $...$ as mathematics
