"""The report as HTML: every name escaped, nothing loaded from elsewhere; its script and Plotly stand in it.

`fragments` has the macros of templates/fragments.html, each of which makes a part of the page: `fragments.said(text)`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from analysis.render import layout
from analysis.render.html import templates
from analysis.report import charts, figures
from analysis.table import Table

STATIC = Path(__file__).with_name("static")
SCRIPTS = ("plotly-basic.min.js", "report.js")
_TEMPLATES = templates(Path(__file__).with_name("templates"))
_number = itertools.count()
fragments: Any = _TEMPLATES.get_template("fragments.html").module


def document(title: str, subtitle: str, sections: Sequence[tuple[str, str, Markup]], table: Table) -> str:
    """The page; a section is (id, heading, fragment). It reads without its script, which makes it interactive."""
    rows = [
        {"name": layout.clean(row), "place": place}
        for place, row in enumerate(table.coloured)
        if row in table.rows
    ]  # fmt: skip
    return (
        _TEMPLATES.get_template("report.html").render(
            title=layout.clean(title),
            subtitle=layout.clean(subtitle),
            sections=sections,
            rows=Markup(charts.script_json(rows)),
            scripts=[Markup(_script(name)) for name in SCRIPTS],
        )
        + "\n"
    )


def _script(name: str) -> str:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert "</script" not in text.lower(), name
    return text


def figure(made: Figure, alt: str, chart: dict[str, Any]) -> Markup:
    """A figure as inline SVG whose colours follow the page's (light or dark), with a text for who cannot see it.

    `chart` is what the page's script draws in its place (`analysis.report.charts`).
    """
    prefix = f"f{next(_number)}-"  # ids of one page
    text = figures.svg(made)
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'((?:xlink:)?href)="#', f'href="#{prefix}', text)
    text = text.replace("url(#", f"url(#{prefix}")
    text = (
        re.sub(r'\s(?:xmlns(?::xlink)?|version|width|height)="[^"]*"', "", text.partition(">")[0])
        + text[text.index(">") :]
    )
    text = re.sub(r"(font(?:-family)?: [^;\"]*?)'[^;\"]*?(?=[;\"])", r"\1inherit", text)
    variables = {figures.INK: "ink", figures.GRID: "rule"} | {c: f"c{i}" for i, c in enumerate(figures.COLOURS)}
    for colour, name in variables.items():
        text = text.replace(colour, f"var(--{name})")
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
    return fragments.figure(Markup(text), Markup(charts.script_json(chart)))
