"""A table as the page of its sweep in MLflow has it: a metric for each mean, and a note."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.render.markdown import markdown
from analysis.table import Table
from gta.tracking import keys

_LONGEST = 5000  # characters that MLflow takes
_REST = "\n\nThe whole is in the artifact table.md.\n"


def metrics(table: Table) -> dict[str, float | None]:
    """`gta/8 labels/mean`, `/deviation` and `/seeds` of each entry; None where there is no number. Of two rows, or
    columns, that MLflow cannot tell apart the second has its place in the sweep.
    """
    labels = table.label_counts
    alone = {c for c, count in labels.items() if count and list(labels.values()).count(count) == 1}
    rows = _parts(table.coloured)
    columns = _parts(f"{labels[c]} labels" if c in alone else c for c in table.columns)
    found: dict[str, float | None] = {}
    for (row, column), entry in table.entries.items():
        name = f"{rows[table.coloured.index(row)]}/{columns[table.columns.index(column)]}"
        found |= {f"{name}/mean": entry.mean, f"{name}/deviation": entry.std, f"{name}/seeds": float(entry.n)}
    return found


def _parts(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for index, name in enumerate(names):
        part = keys.part(name)
        while part in found:
            part = f"{part} {index}"
        found.append(part)
    return found


def note(table: Table) -> str:
    """The table in Markdown; of one that is too long for a note its beginning."""
    text = markdown(table)
    if len(text) <= _LONGEST:
        return text
    return text[: _LONGEST - len(_REST)].rpartition("\n")[0] + _REST
