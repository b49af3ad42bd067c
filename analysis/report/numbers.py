"""What the report shows beside the table's own numbers: IoU by class, confusion, where each number is from."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from analysis.protocol import short_commit
from analysis.report.history import Confusion
from analysis.table import Table, TableEntry


def class_iou(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Columns row, column, class, iou: percent, mean over the finished seeds of the scored network; NaN where the
    class is absent."""
    finished = frame[frame["headline"] & (frame["status"] == "FINISHED")].set_index("signature")
    rows = []
    for (row, column), entry in table.entries.items():
        runs = [finished.loc[s.cell.signature] for s in entry.done if s.cell.signature in finished.index]
        lists = [dict(zip(run["classes"], run["iou"], strict=False)) for run in runs if run["iou"]]
        for name in dict.fromkeys(name for found in lists for name in found):
            values = pd.Series([found.get(name, math.nan) for found in lists], dtype="float64")
            rows.append((row, column, name, values.mean()))
    return pd.DataFrame(rows, columns=["row", "column", "class", "iou"])


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
