"""A table as the page of its sweep in MLflow has it: a metric for each mean, and a note."""

from __future__ import annotations

from analysis.render.markdown import markdown
from analysis.table import Table
from gta.tracking import keys

_LONGEST = 5000  # characters that MLflow takes
_REST = "\n\nThe whole is in the artifact table.md.\n"


def metrics(table: Table) -> dict[str, float | None]:
    """`gta/8 labels/mean`, `/deviation` and `/seeds` of each entry; None where there is no number."""
    labels = table.label_counts
    found: dict[str, float | None] = {}
    for (row, column), entry in table.entries.items():
        alone = labels[column] and list(labels.values()).count(labels[column]) == 1
        place = f"{labels[column]} labels" if alone else column
        name = f"{keys.part(row)}/{keys.part(place)}"
        found |= {f"{name}/mean": entry.mean, f"{name}/deviation": entry.std, f"{name}/seeds": float(entry.n)}
    return found


def note(table: Table) -> str:
    """The table in Markdown; of one that is too long for a note its beginning."""
    text = markdown(table)
    if len(text) <= _LONGEST:
        return text
    return text[: _LONGEST - len(_REST)].rpartition("\n")[0] + _REST
