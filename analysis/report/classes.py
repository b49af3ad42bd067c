"""IoU by class, its differences to the baseline, and what is taken for what: heat maps of numbers."""

from __future__ import annotations

import math

import pandas as pd
from markupsafe import Markup

from analysis.render import layout
from analysis.report import numbers
from analysis.report.history import RunHistory
from analysis.report.page import fragments
from analysis.table import Table, TableEntry


def classes(frame: pd.DataFrame, table: Table) -> Markup:
    iou = numbers.class_iou(frame, table)
    if iou.empty:
        return fragments.said("Left out: no finished run has its IoU by class in MLflow.")
    text = "IoU in percent of the scored network at the last iteration, mean over the finished seeds."
    wide = {column: _wide(iou, table, column) for column in table.columns if column in set(iou["column"])}
    maps = [
        fragments.heat(f"{layout.clean(column)} labels", "class", _names(one), list(_lines(one)), rows=_names(one))
        for column, one in wide.items()
    ]
    return fragments.said(text) + fragments.panels(maps) + _differences(wide, table)


def _differences(wide: dict[str, pd.DataFrame], table: Table) -> Markup:
    """Each method less the baseline (without one, the first row), of the columns that have both."""
    base = table.baseline or table.rows[0]
    known = {column: one for column, one in wide.items() if base in one and one.shape[1] > 1}
    if not known:
        return Markup("")
    made = {column: one.drop(columns=base).sub(one[base], axis=0) for column, one in known.items()}
    most = max(float(one.abs().max().max()) for one in made.values())
    most = 1.0 if math.isnan(most) or most == 0 else most
    maps = [
        fragments.differences(f"{layout.clean(column)} labels", "class", _names(one), list(_lines(one)), most)
        for column, one in made.items()
    ]
    text = (
        f"Difference to {layout.clean(base)} in points of IoU, one scale: blue is above it, orange below, "
        f"full colour at {most:.1f} points."
    )
    return fragments.said(text) + fragments.panels(maps)


def _wide(iou: pd.DataFrame, table: Table, column: str) -> pd.DataFrame:
    """Index class, in the data set's order, and mIoU at the end; columns the rows of the table that have any."""
    here = iou[iou["column"] == column]
    wide = here.pivot(index="class", columns="row", values="iou")
    wide = wide.loc[list(dict.fromkeys(here["class"])), [row for row in table.rows if row in wide]]
    means = [table.entries[row, column].mean for row in wide.columns]
    total = pd.DataFrame([[math.nan if m is None else m for m in means]], index=["mIoU"], columns=wide.columns)
    return pd.concat([wide, total])


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
