"""With which settings the rows of a table were made: what differs between them first, then all others."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from analysis.render import layout
from analysis.report.history import RunHistory
from analysis.report.page import fragments
from analysis.table import Table
from gta.masking import masked

BY_CELL = ("seed", "data.split")  # what makes cells of a row and column, and columns
MOST = 12  # values of a setting that are listed


def settings(recorded: RunHistory, table: Table) -> Markup:
    """The settings that the runs recorded, a line each, a column a row of the table."""
    found = by_row(recorded, table)
    rows = [row for row in table.rows if found.get(row)]
    if not rows:
        return fragments.said("Left out: no run of this table has its settings in MLflow yet.")
    names = sorted({name for row in rows for name in found[row]}, key=_order)
    texts = {name: [_shown(found[row].get(name, [])) for row in rows] for name in names}
    differing = [name for name in names if len(set(texts[name])) > 1]
    same = [(name, texts[name][0]) for name in names if name not in differing]
    first = layout.clean(rows[0])
    out = fragments.said(
        f"{len(same)} settings are the same in all rows."
        if not differing
        else f"What differs from the first row, {first}, stands first; bold is what is not as there. "
        f"{len(same)} settings are the same in all rows."
    )
    if differing:
        lines = [[name, *texts[name]] for name in differing]
        out += fragments.compared(["setting", *map(layout.clean, rows)], lines, "Settings that differ")
    return out + fragments.details(f"All {len(same)} settings that the rows share", fragments.definitions(same, "many"))


def by_row(recorded: RunHistory, table: Table) -> dict[str, dict[str, list[str]]]:
    """Row -> setting -> its distinct values over the row's runs, in the table's order."""
    found: dict[str, dict[str, list[str]]] = {row: {} for row in table.rows}
    for signature, row in zip(recorded.cells["signature"], recorded.cells["row"], strict=True):
        for name, text in recorded.settings.get(signature, {}).items():
            values = found[row].setdefault(name, [])
            if text not in values:
                values.append(text)
    return found


def _order(name: str) -> tuple[bool, bool, bool, bool, str]:
    """The method and its settings first, what the grid is over next, versions of the maths last."""
    return name != "method.name", name.startswith("maths."), not name.startswith("method."), name not in BY_CELL, name


def _shown(values: Iterable[str]) -> str:
    texts = [layout.clean(masked(value)) or "–" for value in values] or ["–"]
    more = f" and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return ", ".join(texts[:MOST]) + more
