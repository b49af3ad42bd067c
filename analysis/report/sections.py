"""The parts of the report that are curves and sums, each a fragment of its page; one without data says why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pandas as pd
from markupsafe import Markup

from analysis.entry import TableEntry
from analysis.render import layout
from analysis.report import charts, figures
from analysis.report.history import ACCURACY, KEPT, RunHistory
from analysis.report.page import figure, fragments
from analysis.report.series import Limits
from analysis.table import Table

NONE: Mapping[str, float] = MappingProxyType({})


def labels(table: Table) -> Markup:
    text = "Mean over seeds of the last iteration; bars are one sample standard deviation (none with a single seed)."
    if len(table.columns) == 1:
        text += " Small dots are the seeds."
    done = {place: entry for place, entry in table.entries.items() if entry.mean is not None}
    if not done:
        return fragments.said("Left out: no cell has a result yet.")
    alt = "mIoU in percent over label count. " + " ".join(
        f"{row}: {', '.join(f'{c} {_mean(done.get((row, c)))}' for c in table.columns if (row, c) in done)}."
        for row in table.rows
    )
    return fragments.said(text) + figure(figures.miou_over_labels(table), alt, charts.labels(table))


def curves(recorded: RunHistory, table: Table) -> Markup:
    points = recorded.miou()
    if points.empty:
        return fragments.said("Left out: no run has been evaluated yet.")
    text = (
        "Thin lines are seeds, thick ones their mean: the scored network, and before it exists the student. One scale."
    )
    return fragments.said(text) + fragments.panels(_panels(recorded, points, table, "mIoU (%)", False))


def _panels(recorded: RunHistory, points: pd.DataFrame, table: Table, ylabel: str, share: bool) -> Iterator[Markup]:
    """A panel a column (of many methods, several), all on one scale; the warm-up's end is marked where it is in it."""
    factor, unit = (100.0, ylabel.removesuffix(" (%)")) if share else (1.0, "mIoU")
    limits = Limits.of(points, factor)
    for column in table.columns:
        here = points[points["column"] == column]
        warm_up = [i for i in recorded.warm_ups(column) if limits and i < limits.right]
        for rows in figures.chunks(table.rows):
            mine = here[here["row"].isin(rows)]
            if mine.empty:
                continue
            last = mine.sort_values("iteration").groupby(["row", "seed"], sort=False)["value"].last()
            means = (last.groupby("row", sort=False).mean() * factor).to_dict()
            ends = ", ".join(f"{row} {means[row]:.1f}" for row in rows if row in means)
            alt = f"{unit} in percent by iteration with {column} labels; at the end, mean over seeds: {ends}."
            made = figures.curves(mine, rows, ylabel, share, table.coloured, limits, warm_up)
            chart = charts.curves(mine, rows, ylabel, factor, table.coloured, limits, warm_up)
            yield fragments.panel(f"{column} labels", figure(made, alt, chart))


def pseudo_labels(recorded: RunHistory, table: Table) -> Markup:
    kept, accuracy = recorded.series(KEPT), recorded.series(ACCURACY)
    if kept.empty:
        return fragments.said("Left out: no method of this table logs pseudo-labels, or none has left its warm-up.")
    silent = [row for row in table.rows if row not in set(kept["row"])]
    text = "Share of the unlabeled pixels whose pseudo-label enters the loss, in the batches that were logged."
    if silent:
        text += f" Without pseudo-labels, or none yet: {', '.join(silent)}."
    out = fragments.said(text) + fragments.panels(_panels(recorded, kept, table, "pixels kept (%)", True))
    if accuracy.empty:
        return out + fragments.said("Accuracy of the kept labels is left out: it is logged on generated data alone.")
    text = (
        "Share of the kept pseudo-labels that are right, at each evaluation, on the first 32 unlabeled images without "
        "augmentation. The true masks serve this figure and no training step."
    )
    return (
        out
        + fragments.said(text)
        + fragments.panels(_panels(recorded, accuracy, table, "right among the kept (%)", True))
    )


def cost(frame: pd.DataFrame, table: Table, waits: Mapping[str, float] = NONE) -> Markup:
    """Hours of the cells: of GPUs where any was used and that is known; else of training on the wall clock. `waits`:
    signature -> percent of its time that a cell waited for data.
    """
    runs = frame.drop_duplicates("signature").set_index("signature")
    known = runs["gpu_hours"].dropna()
    on_gpu = bool((known > 0).any())
    hours = (runs["gpu_hours"] if on_gpu else runs["seconds"] / 3600).to_dict()

    def total(entries: list[TableEntry]) -> list[float]:
        found = [float(hours.get(score.cell.signature, math.nan)) for entry in entries for score in entry.scores]
        return [value for value in found if not math.isnan(value)]

    everything = total(list(table.entries.values()))
    if not everything:
        return fragments.said("Left out: no cell has finished yet.")
    means = {
        row: [total([table.entries[row, c]]) if (row, c) in table.entries else [] for c in table.columns]
        for row in table.rows
    }
    sums = [total([e for (_, c), e in table.entries.items() if c == column]) for column in table.columns]
    parts = [[sum(v) / len(v) if (v := means[row][i]) else None for row in table.rows] for i in range(len(sums))]
    parts.append([sum(map(sum, means[row])) for row in table.rows])
    shown = [_in_one_unit(column) for column in parts]
    names = [layout.clean(column) for column in [*table.columns, "in all"]]
    head = ["method", *(f"{name}, {unit}" for name, (unit, _) in zip(names, shown, strict=True))]
    rows = [
        [layout.clean(row), *(texts[i] for _, texts in shown)] for i, row in enumerate(table.rows)
    ]  # fmt: skip
    shares = {row: _waiting(table, row, waits) for row in table.rows}
    if any(shares.values()):
        head.append("waiting for data, %")
        rows = [[*cells, _share(shares[row])] for row, cells in zip(table.rows, rows, strict=True)]
    time_taken = "Time of training and evaluation on the wall clock"
    unit = "GPU-hours" if on_gpu else f"No GPU was used. {time_taken}" if len(known) else time_taken
    took = ", ".join(f"{_hours(sum(v))} at {name}" for name, v in zip(names, sums, strict=False) if v)
    text = f"{unit}: mean of a cell, and sums. {len(everything)} cells took {_hours(sum(everything))} in all: {took}."
    if any(shares.values()):
        text += " Waiting for data: share of the training's time, mean of a cell"
        text += "; on a GPU, which works on meanwhile, at most." if on_gpu else "."
    return fragments.said(text) + fragments.grid(head, rows, kind="results", label="Cost")


def _waiting(table: Table, row: str, waits: Mapping[str, float]) -> list[float]:
    """Of the cells of a row that say it."""
    scores = [score for (name, _), entry in table.entries.items() if name == row for score in entry.scores]
    return [waits[score.cell.signature] for score in scores if score.cell.signature in waits]


def _share(percents: list[float]) -> str:
    return f"{sum(percents) / len(percents):.0f}" if percents else "–"


def _in_one_unit(hours: list[float | None]) -> tuple[str, list[str]]:
    """Hours or minutes, whichever suits the longest, and the times in it."""
    longest = max((value for value in hours if value is not None), default=0.0)
    unit, factor = ("h", 1) if longest >= 1 else ("min", 60)
    digits = 1 if longest * factor >= 10 else 2
    return unit, ["–" if value is None else f"{value * factor:.{digits}f}" for value in hours]


def _mean(entry: TableEntry | None) -> str:
    return "–" if entry is None or entry.mean is None else f"{entry.mean:.2f}"


def _hours(value: float) -> str:
    return f"{value:.1f} h" if value >= 10 else f"{value:.2f} h" if value >= 0.1 else f"{60 * value:.1f} min"
