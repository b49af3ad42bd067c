"""The table in Markdown: a pipe table, the footer as a list. It has no grey: published rows are in italics."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analysis.render import layout
from analysis.render.layout import BEST, SECOND, ShownRow
from analysis.table import Table

_EMPHASIS = {BEST: "**%s**", SECOND: "<u>%s</u>"}


def markdown(table: Table) -> str:
    """GitHub's Markdown; every name is shown as it is written."""
    head = layout.head(table, "Method")
    lines = [f"## {escape(table.title)}", "", *_grid(head, [_row(row) for row in layout.rows(table)], left=1), ""]
    notes = [note.replace("Grey:", "In italics:") for note in layout.notes(table)]
    lines += [f"- {escape(note)}" for note in [*notes, *layout.footnotes(table)]]
    if gaps := layout.gaps(table):
        command = layout.filling(table)
        lines += [f"- {escape(gaps)}{f': {_code(command)}' if command else ''}"]
        lines += [f"  - {escape(line)}" for line in layout.missing(table)]
        lines += [f"  - {escape(heads)}: {_code(command)}" for heads, command in layout.fill(table)]
    for section in layout.sections(table):
        lines += ["", f"### {escape(section.title)}", ""]
        if section.rows:
            escaped = [[escape(cell) for cell in row] for row in section.rows]
            lines += [*_grid(section.head, escaped, left=2), ""]
        lines += [f"- {escape(note)}" for note in section.notes]
    return "\n".join(lines) + "\n"


def escape(name: str) -> str:
    """`name` as one line of text in which nothing is markup."""
    name = re.sub(r"([\\`*<>|~$&])", r"\\\1", layout.clean(name))
    name = re.sub(r"^\[|\](?=[(\[:])", r"\\\g<0>", name)  # what could become a link or a check box
    name = re.sub(r"^(#{1,6}|[-+=])(?=\s|$)", r"\\\1", name)  # a heading, a list
    name = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", name)
    # Between letters an underscore is an underscore (mean_teacher); at a word's edge it starts emphasis.
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", name)


def _row(row: ShownRow) -> list[str]:
    name = escape(row.name) + _marks(row.marks)
    cells = [name, *(cell.text(_text, _EMPHASIS, _marks) for cell in row.cells)]
    return [f"*{cell}*" if cell else "" for cell in cells] if row.published else cells


def _marks(marks: str) -> str:
    return f" ({marks})" if marks else ""


def _text(part: str) -> str:
    """A part of an entry: a sign or bracket at its start is in the middle of a line and needs no escape."""
    return escape(f"x{part}")[1:]


def _code(command: str) -> str:
    """A code span, in which nothing is escaped: its fence is longer than any run of backticks within."""
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", command)), default=0))
    pad = " " if "`" in (command[:1], command[-1:]) else ""
    return f"{fence}{pad}{command}{pad}{fence}"


def _grid(head: Sequence[str], rows: list[list[str]], left: int) -> list[str]:
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    escaped = [escape(name) for name in head]
    return ["| " + " | ".join(cells) + " |" for cells in [escaped, rule, *rows]]
