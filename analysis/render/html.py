"""The table as HTML: one file that needs nothing else, or a fragment for a page that has styles of its own."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.render import layout
from analysis.render.layout import BEST, SECOND
from analysis.table import Table

FOLDER = Path(__file__).with_name("templates")


def templates(*folders: Path) -> Environment:
    """The templates of these folders and of this package: every text is escaped but what is `Markup` already."""
    return Environment(
        loader=FileSystemLoader([*folders, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_TEMPLATES = templates()


def html(table: Table) -> str:
    """A whole page, self-contained: no script, nothing fetched."""
    return _TEMPLATES.get_template("page.html").render(title=layout.clean(table.title), table=fragment(table)) + "\n"


def fragment(table: Table, heading: str = "h2", brief: bool = False) -> Markup:
    """The table with its notes, missing cells and significance; `templates/table.css` has the classes that it uses.

    `heading`: the element of its headings; `brief`: an entry is one line, and a count of seeds that all entries share
    stands below the table alone.
    """
    shared = layout.shared_count(table) if brief else None
    table_notes = layout.notes(table)
    if shared is not None:
        table_notes.insert(1, f"n = {shared} in every entry.")
    text = _TEMPLATES.get_template("table.html").render(
        heading=heading,
        brief=brief,
        emphasis={0: "", BEST: "best", SECOND: "second"},
        head=layout.head(table, "Method"),
        rows=layout.rows(table, counts=shared is None),
        table_notes=table_notes,
        footnotes=layout.footnotes(table),
        gaps=layout.gaps(table),
        filling=layout.filling(table),
        missing=layout.missing(table),
        fill=layout.fill(table),
        sections=layout.sections(table),
    )
    return Markup(text)
