"""Tables made by hand, for the tests of what they look like."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.cells import TableCell
from analysis.entry import SeedScore, TableEntry
from analysis.published import PlacedRow, PublishedNumber
from analysis.runs import COLUMNS
from analysis.significance import compare
from analysis.table import Table


def run(signature: str, last: float, **changes: Any) -> dict[str, Any]:
    """A row of a finished run, as `analysis.runs.load` gives it."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= {
        "signature": signature,
        "method": "gta",
        "dataset": "shapes",
        "split_family": "seed0",
        "labels": 6,
        "seed": 0,
        "network": "teacher",
        "headline": True,
        "evaluation": "original size",
        "miou_last": last,
        "miou_best": last + 1,
        "status": "FINISHED",
        "digest_labeled": "1111111122222222",
        "digest_val": "3333333344444444",
        "commit": "abcdef1234567890",
        "order": "",
        "timm": "",
    }
    return row | changes


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"headline": "bool", "miou_last": "float64"})


def want(
    signature: str,
    row: str = "gta",
    column: str = "1/67 (6)",
    labels: int = 6,
    seed: int = 0,
    reason: str = "",
    **more: Any,
) -> TableCell:
    return TableCell(signature, row, column, labels, seed, reason, **more)


PAPER = {"supervised": "Supervised", "mean_teacher": "Mean Teacher", "gta": "GTA-Seg"}


def entry(row: str, column: str, labels: int, scores: list[float | str]) -> TableEntry:
    """Scores by seed; a text is the reason why there is none."""
    result = []
    for seed, score in enumerate(scores):
        wanted = TableCell(f"{row}-{labels}-{seed}", row, column, labels, seed, paper=PAPER.get(row, ""))
        if isinstance(score, str):
            result.append(SeedScore(wanted, reason=score))
        else:
            result.append(SeedScore(wanted, "teacher", score, score + 1))
    return TableEntry(result)


def table(cells: dict[tuple[str, str], list[float | str]], title: str = "shapes") -> Table:
    columns = list(dict.fromkeys(column for _, column in cells))
    entries = {(row, column): entry(row, column, columns.index(column) + 1, s) for (row, column), s in cells.items()}
    missing = [
        f"{row}, {column}, seed {score.cell.seed}: {score.reason}"
        for (row, column), one in entries.items()
        for score in one.scores
        if score.last is None
    ]
    rows = list(dict.fromkeys(row for row, _ in cells))
    return Table(title, rows, columns, entries, ["mIoU in percent: mean ± std.", "Seeds: 0, 1."], missing)


def everything() -> Table:
    """A table with everything: a rank, gaps, a published row, a baseline."""
    made = table(
        {
            ("supervised", "1/67 (6)"): [50.0, 52.0, 51.0],
            ("supervised", "1/8 (50)"): [61.25, 61.75, 61.0],
            ("mean_teacher", "1/67 (6)"): [55.0, "failed: CUDA out of memory", 99.0],
            ("mean_teacher", "1/8 (50)"): ["never run", "queued", "queued"],
            ("gta", "1/67 (6)"): [58.0, 60.0, 59.0],
            ("gta", "1/8 (50)"): [61.0, 61.1, 61.2],
        }
    )
    made.fill = {"gta multirun sweep=shapes --retry failed": ["failed"]}
    made.published = [
        PlacedRow("GTA-Seg", "a", {"1/8 (50)": (PublishedNumber(70.5, "ESL, table 1", "cps", "r", "e", "best"), "b")})
    ]
    made.footnotes = ["a: another evaluation: e.", "b: another labeled list: cps.", "Published numbers are from: ESL."]
    made.baseline = "supervised"
    scores = {
        row: {c: {s.cell.seed: s.last for s in made.entries[row, c].done} for c in made.columns} for row in made.rows
    }
    for row in ("mean_teacher", "gta"):
        made.comparisons += compare(row, scores[row], scores["supervised"])
    return made
