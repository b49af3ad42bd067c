"""The table as data: CSV (tidy, a line a score), JSON (all that there is)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from analysis.aggregate import Estimate
from analysis.entry import BEST, LAST, SeedScore, TableEntry
from analysis.significance import Comparison
from analysis.table import Table
from gta.text import no_formula

CSV_COLUMNS = (
    "row",
    "column",
    "labels",
    "seed",
    "miou_last",
    "miou_best",
    "network",
    "signature",
    "reason",
    "source",
    "lists",
    "encoder",
    "evaluation",
    "scored",
    "note",
)


def to_csv(table: Table) -> str:
    """A line for each wanted cell, with its score or the reason why there is none, then one for each published number.

    A published number has no seed, and a `source`; ours has none. Published numbers stand in `miou_last` only
    where the last epoch was scored, in `miou_best` where the best, and in neither's name, but in `miou_last`,
    where the source does not say: read `scored`. Of a column of one evaluation our other number stands in its own
    column's line. A name that a spreadsheet would compute begins with an apostrophe.
    """
    rows: list[dict[str, Any]] = []
    labels: dict[str, int] = {}
    for (row, column), entry in _ordered(table):
        for score in entry.scores:
            cell = score.cell
            labels[column] = cell.labels
            rows.append(
                {
                    **{"row": row, "column": column, "labels": cell.labels, "seed": cell.seed},
                    **{**_both(table, entry, score), "network": score.network},
                    **{"signature": cell.signature, "reason": score.reason, "lists": cell.lists},
                    **{"encoder": cell.encoder, "evaluation": score.evaluation},
                }
            )
    for beside in table.published:
        for column, (number, _) in beside.numbers.items():
            place = {"row": beside.method, "column": column, "labels": labels.get(column)}
            values = {name: value for name, value in asdict(number).items() if name in CSV_COLUMNS}
            which = "miou_best" if number.scored.startswith("best") else "miou_last"
            rows.append({**place, which: number.miou, **values})
    return _csv(CSV_COLUMNS, rows)


def significance_csv(table: Table) -> str:
    """A line for each comparison with the baseline."""
    names = ["baseline", *(field.name for field in fields(Comparison))]
    rows = [{"baseline": table.baseline, **_comparison(c), "seeds": len(c.seeds)} for c in table.comparisons]
    return _csv(names, rows)


def bootstrap_csv(table: Table) -> str:
    """A line for each entry over resamples of the images."""
    rows = [
        {
            **{"row": one.row, "column": one.column, "seeds": len(one.seeds), "images": one.images},
            **{"miou": one.miou.value, "low": one.miou.low, "high": one.miou.high},
            **({"baseline": table.baseline, "paired": len(one.paired)} if one.difference else {}),
            **(_prefixed("difference", one.difference) if one.difference else {}),
        }
        for one in table.over_images
    ]
    names = ["row", "column", "seeds", "images", "miou", "low", "high", "baseline", "paired"]
    return _csv([*names, "difference", "difference_low", "difference_high"], rows)


def _prefixed(name: str, one: Estimate) -> dict[str, float]:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}


def to_json(table: Table) -> str:
    """Everything in the table; a number that there is none of is null. `mean` and `std` are of the evaluation that the
    entry's `scored` says: last, or best. Raises ValueError for one that is no number.
    """
    entries = [
        {
            "row": row,
            "column": column,
            "mean": entry.mean,
            "std": entry.std,
            "scored": entry.which,
            "best_mean": None if table.view.apart else entry.best_mean,
            "best_std": None if table.view.apart else entry.best_std,
            "n": entry.n,
            "wanted": entry.wanted,
            "rank": table.ranks(column).get(row),
            "seeds": [
                {
                    **{"seed": score.cell.seed, **_both(table, entry, score)},
                    **{"network": score.network, "signature": score.cell.signature, "reason": score.reason},
                    "evaluation": score.evaluation,
                    "fill": score.fill if score.value(entry.which) is None else "",
                }
                for score in entry.scores
            ],
        }
        for (row, column), entry in _ordered(table)
    ]
    published = [
        {
            "row": beside.method,
            "marks": beside.marks,
            "numbers": [{"column": c, **asdict(n), "marks": marks} for c, (n, marks) in beside.numbers.items()],
        }
        for beside in table.published
    ]
    content = {
        **{"title": table.title, "rows": table.rows, "columns": table.columns, "entries": entries},
        **{"notes": table.notes, "missing": table.missing, "fill": table.fill, "mixed": table.mixed},
        **{"published": published, "footnotes": table.footnotes, "baseline": table.baseline or None},
        "comparisons": [_comparison(c) for c in table.comparisons],
        "aggregates": [asdict(one) for one in table.aggregates],
        "over_images": [asdict(one) for one in table.over_images],
        "uncounted": [asdict(one) for one in table.uncounted],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _both(table: Table, entry: TableEntry, score: SeedScore) -> dict[str, float | None]:
    """A seed's numbers; in a table that keeps the two apart, the one that the entry is about."""
    shown = (entry.which,) if table.view.apart else (LAST, BEST)
    return {f"miou_{which}": score.value(which) if which in shown else None for which in (LAST, BEST)}


def _ordered(table: Table) -> Iterable[tuple[tuple[str, str], TableEntry]]:
    places = ((row, column) for row in table.rows for column in table.columns)
    return [(place, table.entries[place]) for place in places if place in table.entries]


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {**asdict(comparison), "seeds": list(comparison.seeds)}


def _csv(names: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _csv_cell(value) for name, value in row.items()})
    return out.getvalue()


def _csv_cell(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    # a reader takes a carriage return for the end of the line, as the writer does not quote it
    return "" if value is None else no_formula(str(value)).replace("\r", "\n")
