"""A table as the page of its sweep in MLflow has it: a metric for each mean, and a note."""

from __future__ import annotations

from analysis.render.markdown import markdown
from analysis.table import Table
from gta.tracking import keys

_REST = "\n\nThe whole is in the artifact table.md, or report.html.\n"


def metrics(table: Table) -> dict[str, float | None]:
    """`gta/8 labels/mean`, `/deviation` and `/seeds` of each entry; None where there is no number. Of two rows, or
    columns, that MLflow cannot tell apart the second has its place in the sweep.
    """
    labels = table.label_counts
    alone = {c for c, count in labels.items() if count and list(labels.values()).count(count) == 1}
    shown = [f"{labels[c]} labels" if c in alone else c for c in table.columns]
    rows = dict(zip(table.coloured, keys.parts(table.coloured), strict=True))
    columns = dict(zip(table.columns, keys.parts(shown), strict=True))
    found: dict[str, float | None] = {}
    for (row, column), entry in table.entries.items():
        name = f"{rows[row]}/{columns[column]}"
        found |= {f"{name}/mean": entry.mean, f"{name}/deviation": entry.std, f"{name}/seeds": float(entry.n)}
    return found


def note(table: Table) -> str:
    """The table in Markdown; of one that is too long for a note its beginning."""
    text = markdown(table)
    if len(text) <= keys.LONGEST:
        return text
    return text[: keys.LONGEST - len(_REST)].rpartition("\n")[0] + _REST
