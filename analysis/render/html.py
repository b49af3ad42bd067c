"""The table as HTML: one file that needs nothing else, or a fragment for a page that has styles of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as _escape

from analysis.render import layout
from analysis.render.layout import BEST, SECOND, ShownRow, ShownEntry
from analysis.table import Table

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; }
body { margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table.results { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
table.results th, table.results td { padding: .3rem .6rem; text-align: right; white-space: nowrap; }
table.results th:first-child, table.results td:first-child { text-align: left; position: sticky; left: 0; }
table.results th:first-child, table.results td:first-child { background: #fff; white-space: normal; }
table.results td { vertical-align: top; }
table.results td small { display: block; }
table.results sup { line-height: 0; margin-left: .1em; }
table.results thead th { border-top: 2px solid; border-bottom: 1px solid; }
table.results tbody tr:last-child > * { border-bottom: 2px solid; }
table.results tbody th { font-weight: normal; }
table.results tr.published { color: #6b6b6b; }
table.results tr.published.first > * { border-top: 1px solid #1a1a1a; }
table.results .best { font-weight: bold; }
table.results .second { text-decoration: underline; }
table.results .missing { color: #9a3412; white-space: normal; }
ul.notes { padding-left: 1.2rem; font-size: .9rem; }
code { overflow-wrap: anywhere; }
"""


def html(table: Table) -> str:
    """A whole page, self-contained: no script, nothing fetched."""
    title = escape(table.title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{fragment(table)}</body>\n</html>\n"
    )


def fragment(table: Table) -> str:
    """The table with its notes, missing cells and significance; `STYLE` has the classes that it uses."""
    shown = layout.lines(table)
    first = next((index for index, line in enumerate(shown) if line.published), None)
    body = [_row(line, index == first) for index, line in enumerate(shown)]
    text = [_grid(layout.head(table, "Method"), body), _list(map(escape, layout.notes(table)))]
    text.append(_list(map(escape, layout.footnotes(table))))
    if table.missing:
        commands = [f"{escape(heads)}: <code>{escape(command)}</code>" for heads, command in layout.fill(table)]
        text.append(f"<h2>Missing</h2>\n{_list([*map(escape, table.missing), *commands])}")
    if table.baseline:
        text.append(f"<h2>Against {escape(table.baseline)}</h2>\n")
        rows = layout.significance_rows(table)
        cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
        text.append(_grid(layout.SIGNIFICANCE_HEAD, [f"<tr>{row}</tr>" for row in cells]) if rows else "")
        text.append(_list(map(escape, layout.significance_notes(table))))
    return "".join(text)


def escape(name: str) -> str:
    return _escape(layout.clean(name), quote=True)


def _grid(head: Sequence[str], rows: Iterable[str]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "\n".join(rows)
    return (
        f'<div class="scroll"><table class="results">\n<thead><tr>{names}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>\n"
    )


def _row(line: ShownRow, first: bool) -> str:
    kind = f' class="published{" first" if first else ""}"' if line.published else ""
    cells = "".join(map(_entry, line.cells))
    return f'<tr{kind}><th scope="row">{escape(line.name)}{_marks(line.marks)}</th>{cells}</tr>'


def _entry(cell: ShownEntry) -> str:
    if not cell.parts:
        return "<td></td>"
    first, *others = map(escape, cell.parts)
    if not others and first.startswith("–"):
        return f'<td class="missing">{first}</td>'
    kind = {BEST: "best", SECOND: "second"}.get(cell.rank)
    first = f'<span class="{kind}">{first}</span>' if kind else first
    below = f" <small>{' '.join(others[1:])}</small>" if others[1:] else ""
    return f"<td>{' '.join([first, *others[:1]])}{_marks(cell.marks)}{below}</td>"


def _marks(marks: str) -> str:
    return f"<sup>{escape(marks)}</sup>" if marks else ""


def _list(items: Iterable[str]) -> str:
    body = "".join(f"<li>{item}</li>\n" for item in items)
    return f'<ul class="notes">\n{body}</ul>\n' if body else ""
