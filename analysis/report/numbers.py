"""What the report shows beside the table's own numbers: IoU by class, confusion, where each number is from."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from analysis.entry import TableEntry
from analysis.protocol import short_commit
from analysis.report.history import Confusion
from analysis.table import Table


def seed_iou(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Columns row, column, seed, class, iou: percent, of the scored network of each finished run; NaN where the class
    is absent."""
    finished = frame[frame["headline"] & (frame["status"] == "FINISHED")].set_index("signature")
    rows = []
    for (row, column), entry in table.entries.items():
        cells = [score.cell for score in entry.done if score.cell.signature in finished.index]
        found = {}
        for cell in cells:
            run = finished.loc[cell.signature]
            if run["iou"]:
                found[cell.seed] = dict(zip(run["classes"], run["iou"], strict=False))
        names = dict.fromkeys(name for of_class in found.values() for name in of_class)
        rows += [(row, column, seed, name, found[seed].get(name, math.nan)) for name in names for seed in found]
    return pd.DataFrame(rows, columns=["row", "column", "seed", "class", "iou"]).astype({"iou": "float64"})


def class_iou(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Columns row, column, class, iou: percent, mean over the finished seeds of the scored network; NaN where the
    class is absent."""
    return _over_seeds(seed_iou(frame, table))


def class_differences(frame: pd.DataFrame, table: Table, base: str) -> pd.DataFrame:
    """Columns row, column, class, iou, as `class_iou`: points of IoU above the row `base`, paired: the mean over the
    seeds in which both have the class; NaN without such a seed.
    """
    iou = seed_iou(frame, table)
    other = iou[iou["row"] == base].drop(columns="row")
    both = iou.merge(other, "left", on=["column", "seed", "class"], suffixes=("", "_base"))
    return _over_seeds(both.assign(iou=both["iou"] - both["iou_base"]))


def by_class(iou: pd.DataFrame, table: Table, column: str) -> pd.DataFrame:
    """Of one column, index class, in the data set's order; columns the rows of the table that have any."""
    here = iou[iou["column"] == column]
    wide = here.pivot(index="class", columns="row", values="iou")
    return wide.loc[list(dict.fromkeys(here["class"])), [row for row in table.rows if row in wide]]


def _over_seeds(iou: pd.DataFrame) -> pd.DataFrame:
    return iou.groupby(["row", "column", "class"], sort=False, as_index=False)[["iou"]].mean()


def confusion_shares(found: list[Confusion]) -> list[list[float]]:
    """Confusion matrices summed over the runs, each row in percent of its pixels; NaN for a class without any."""
    size = range(len(found[0].classes))
    total = [[sum(one.matrix[i][j] for one in found) for j in size] for i in size]
    return [[100 * pixels / sum(line) if sum(line) else math.nan for pixels in line] for line in total]


def cell_lines(frame: pd.DataFrame, table: Table) -> Iterator[list[str]]:
    """A line a wanted cell, in the table's order: where its number comes from, or why there is none."""
    runs = frame.sort_values("headline").drop_duplicates("signature", keep="last").set_index("signature")
    known = runs.to_dict("index")
    for row in table.rows:
        for column in table.columns:
            for score in table.entries.get((row, column), TableEntry()).scores:
                number = score.reason if score.last is None else f"{score.last:.2f}"
                run = known.get(score.cell.signature, {})
                commit = short_commit(str(run.get("commit", "")))
                words = [run.get("network"), run.get("iteration"), commit, run.get("run_id")]
                shown = [str(word or "–") for word in words]
                shown[-1] = shown[-1][:8]
                yield [row, column, str(score.cell.seed), number, *shown, score.cell.signature]
