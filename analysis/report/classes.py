"""IoU by class, its differences to the baseline, and what is taken for what: heat maps of numbers."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from analysis.entry import TableEntry
from analysis.render import layout
from analysis.report import numbers
from analysis.report.history import RunHistory
from analysis.report.page import fragments
from analysis.table import Table


def classes(frame: pd.DataFrame, table: Table) -> Markup:
    iou = numbers.class_iou(frame, table)
    if iou.empty:
        return fragments.said("Left out: no finished run has its IoU by class in MLflow.")
    text = "IoU in percent of the scored network at the last iteration, mean over the finished seeds."
    wide = {column: _with_miou(iou, table, column) for column in table.columns if column in set(iou["column"])}
    maps = [
        fragments.heat(f"{layout.clean(column)} labels", "class", _names(one), list(_lines(one)), rows=_names(one))
        for column, one in wide.items()
    ]
    return fragments.said(text) + fragments.panels(maps) + _differences(frame, table)


def _differences(frame: pd.DataFrame, table: Table) -> Markup:
    """Each method less the baseline (without one, the first row), of the columns that have a seed of both."""
    base = table.baseline or table.rows[0]
    less = numbers.class_differences(frame, table, base)
    known = set(less[less["row"] != base].dropna()["column"])
    wide = {column: _with_miou(less, table, column, base) for column in table.columns if column in known}
    made = {column: one.drop(columns=base) for column, one in wide.items()}
    if not made:
        return Markup("")
    most = max(float(one.abs().max().max()) for one in made.values()) or 1.0
    maps = [
        fragments.differences(f"{layout.clean(column)} labels", "class", _names(one), list(_lines(one)), most)
        for column, one in made.items()
    ]
    text = (
        f"Difference to {layout.clean(base)} in points of IoU, mean over the seeds that both have; one scale: blue is "
        f"above it, orange below, full colour at {most:.1f} points."
    )
    return fragments.said(text) + fragments.panels(maps)


def _with_miou(iou: pd.DataFrame, table: Table, column: str, base: str = "") -> pd.DataFrame:
    """`numbers.by_class`, and mIoU at the end: the mean, or with a `base` that of the differences paired by seed."""
    wide = numbers.by_class(iou, table, column)
    scores = {row: entry.by_seed for (row, where), entry in table.entries.items() if where == column}
    seeds = pd.DataFrame(scores, dtype="float64")
    means = seeds.sub(seeds[base] if base else 0.0, axis=0)[list(wide.columns)].mean()
    return pd.concat([wide, means.to_frame("mIoU").T])


def _names(wide: pd.DataFrame) -> list[str]:
    return [layout.clean(str(row)) for row in wide.columns]


def _lines(wide: pd.DataFrame) -> list[tuple[str, list[float]]]:
    return [
        (layout.clean(str(name)), [float(value) for value in values])
        for name, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]


def confusions(recorded: RunHistory, table: Table, column: str) -> Markup:
    made = []
    for row in table.rows:
        entry = table.entries.get((row, column), TableEntry())
        found = [c for s in entry.done if (c := recorded.confusion(s.cell.signature)) is not None]
        if found:
            names = [layout.clean(name) for name in found[0].classes]
            lines = list(zip(names, numbers.confusion_shares(found), strict=True))
            seeds = "1 seed" if len(found) == 1 else f"{len(found)} seeds"
            name = layout.clean(row)
            made.append(fragments.of_row(name, fragments.heat(f"{name}, {seeds}", "truth", names, lines)))
    if not made:
        return fragments.said("Left out: MLflow has no confusion.json of these runs (made before it was recorded).")
    text = (
        f"{layout.clean(column)} labels. Of the pixels of each true class (row) the percentage that was given each "
        "class (column), over all seeds; ignored pixels are left out. The diagonal is the recall of a class."
    )
    return fragments.said(text) + fragments.panels(made)
