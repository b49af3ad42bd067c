"""The table for a terminal, by rich; where it is narrow, entries in several lines, then columns in several blocks."""

from __future__ import annotations

import io
import textwrap

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from analysis.render import layout
from analysis.render.layout import BEST, SECOND, Section, ShownEntry, ShownRow
from analysis.table import Table

_GAP = 2
_NOTES = 120  # columns at most in which notes are set
_STYLES = {BEST: "bold", SECOND: "underline"}
_GREY = "bright_black"


def terminal(table: Table, width: int = 160, color: bool = False) -> str:
    """For a terminal of `width` columns; with `color`, escape sequences for bold, underlined and grey."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        legacy_windows=False,
    )
    rows = layout.rows(table)
    console.print(Text(layout.clean(table.title)))
    for start, stop, height in _blocks(table, rows, width):
        console.print()
        console.print(_grid(table, rows, start, stop, height))
    console.print()
    _print_notes(console, layout.notes(table, styled=color), width)
    _print_notes(console, layout.footnotes(table), width, "  ", _GREY if color else "")
    for section in layout.sections(table):
        _section(console, section, width)
    if gaps := layout.gaps(table):
        command = layout.filling(table)
        # One line, however long: it is there to be copied.
        console.print(Text(f"\n{gaps}{f': {command}' if command else ''}"), soft_wrap=True)
        _print_notes(console, layout.missing(table), width, "  ")
        for heads, command in layout.fill(table):
            console.print(Text(f"  {heads}: {command}"), soft_wrap=True)
    # rich pads lines; what nobody sees only gets in the way of whoever copies them
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _blocks(table: Table, rows: list[ShownRow], width: int) -> list[tuple[int, int, int]]:
    """(first column, column after the last, lines of an entry) of each block: few lines before few columns."""
    count = len(table.columns)
    for height in (1, 2, 4):
        if sum(_widths(table, rows, height)) + _GAP * count <= width:
            return [(0, count, height)]
    first, *others = _widths(table, rows, 4)
    blocks, start = [], 0
    while start < count:
        stop, used = start + 1, first + _GAP + others[start]
        while stop < count and used + _GAP + others[stop] <= width:
            used += _GAP + others[stop]
            stop += 1
        blocks.append((start, stop, 4))
        start = stop
    return blocks


def _widths(table: Table, rows: list[ShownRow], height: int) -> list[int]:
    names = [max([len(_name(row)) for row in rows] + [len("method")])]
    for index, column in enumerate(layout.head(table)[1:]):
        entries = [max(map(len, _split(row.cells[index], height))) for row in rows]
        names.append(max([len(column), *entries]))
    return names


def _grid(table: Table, rows: list[ShownRow], start: int, stop: int, height: int) -> Grid:
    grid = Grid(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="none", show_edge=False)
    names = layout.head(table)
    chosen = [names[0], *names[1 + start : 1 + stop]]
    widths = _widths(table, rows, height)
    widths = [widths[0], *widths[1 + start : 1 + stop]]
    for name in chosen:
        grid.add_column(Text(name), overflow="fold")
    grid.add_row(*("-" * width for width in widths))
    for row in rows:
        cells = [_entry(cell, height, row.published) for cell in row.cells[start:stop]]
        grid.add_row(Text(_name(row), style=_GREY if row.published else ""), *cells)
    return grid


def _name(row: ShownRow) -> str:
    return f"{row.name} ({row.marks})" if row.marks else row.name


def _split(cell: ShownEntry, height: int) -> list[str]:
    """The lines of an entry: 1 all in one, 2 the mean with its count first, 4 a part a line."""
    parts = [*cell.parts]
    if cell.marks and parts:
        parts[-1] += f" ({cell.marks})"
    if height == 1 or len(parts) < 2:
        return [" ".join(parts)]
    if height == 2:
        return [" ".join(part) for part in (parts[:2], parts[2:]) if part]
    return parts


def _entry(cell: ShownEntry, height: int, published: bool) -> Text:
    text = Text("\n".join(_split(cell, height)), style=_GREY if published else "")
    if cell.parts and cell.rank in _STYLES:
        text.stylize(_STYLES[cell.rank], 0, len(cell.parts[0]))
    return text


def _section(console: Console, section: Section, width: int) -> None:
    rows, notes = section.rows, section.notes
    if not notes:
        return
    shown = [section.head, *rows]
    console.print(Text(f"\n{section.title}\n"))
    if rows and sum(max(map(len, column)) + _GAP for column in zip(*shown, strict=True)) > width:
        _print_notes(console, [_sentence(section.head, row) for row in rows], width)
        console.print()
    elif rows:
        grid = Grid(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="none")
        for index, name in enumerate(section.head):
            grid.add_column(name, justify="left" if index < 2 else "right", overflow="fold")
        for row in rows:
            grid.add_row(*map(Text, row))
        console.print(grid)
        console.print()
    _print_notes(console, notes, width)


def _sentence(head: list[str], row: list[str]) -> str:
    """A line of a section where its columns do not fit beside each other."""
    name, column, *numbers = row
    named = ", ".join(f"{name} {number}" for name, number in zip(head[2:], numbers, strict=True))
    return f"{name}, {column}: {named}"


def _print_notes(console: Console, notes: list[str], width: int, indent: str = "", style: str = "") -> None:
    for note in notes:
        wrapped = textwrap.wrap(
            note,
            min(width, _NOTES),
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_on_hyphens=False,
        )
        for line in wrapped:
            console.print(Text(line, style=style))
