"""HTML of the report: every name escaped, nothing loaded from elsewhere, no script.

Functions return fragments; `document` puts them into one page with its style sheet.
"""

from __future__ import annotations

import base64
import io
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from analysis import render
from analysis.report import figures
from analysis.table import Table

_WIDEST = 1200  # pixels of an embedded picture
_number = itertools.count()


def document(title: str, subtitle: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """The page; a section is (id, heading, fragment)."""
    links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading, _ in sections)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{escape(heading)}</h2>\n{text}</section>\n'
        for name, heading, text in sections
    )
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>\n<p>{escape(subtitle)}</p>\n"
        f'<nav aria-label="Sections">{links}</nav></header>\n<main>\n{body}</main>\n</body>\n</html>\n'
    )


def said(text: str) -> str:
    """A sentence about what is shown, or why it is not."""
    return f'<p class="said">{escape(text)}</p>\n'


def notes(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="notes">{items}</ul>\n' if items else ""


def results(table: Table) -> str:
    """The results table with its notes, as in table.html, with headings one lower, and means above the rest."""
    text = re.sub(r"(</?)h2>", r"\1h3>", render.fragment(table))
    return re.sub(r"(<td>(?:<span[^>]*>)?[\d.]+(?: ± [\d.]+)?(?:</span>)?) (\([^<]*)", r"\1<small>\2</small>", text)


def grid(
    head: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str] = (), kind: str = "", label: str = "Table"
) -> str:
    """A plain table; the first of each row is its heading."""

    def line(cells: Sequence[str]) -> str:
        rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells[1:])
        return f'<tr><th scope="row">{escape(cells[0])}</th>{rest}</tr>'

    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    below = f"<tfoot>{line(foot)}</tfoot>" if foot else ""
    body = "".join(map(line, rows))
    return scroll(
        f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody>{below}</table>', label
    )  # fmt: skip


def heat(caption: str, corner: str, head: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]]) -> str:
    """A heat map of percentages as a table, so that the numbers can be read (also aloud); NaN is an absent class.

    With more than ten columns the numbers are whole ones.
    """
    dense = len(head) > 10
    digits = 0 if dense else 1
    upright = any(len(name) > 4 for name in head) and len(head) > 6
    kind = ' class="up"' if upright else ""
    top = "".join(f'<th scope="col"{kind}><span>{escape(name)}</span></th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(_heat_cell(value, digits) for value in values)}</tr>'
        for name, values in rows
    )
    return scroll(
        f'<table class="heat{" dense" if dense else ""}"><caption>{escape(caption)}</caption>'
        f'<thead><tr><th scope="col">{escape(corner)}</th>{top}</tr></thead><tbody>{body}</tbody></table>',
        caption,
    )


def _heat_cell(value: float, digits: int) -> str:
    if math.isnan(value):
        return '<td class="absent">–</td>'
    return f'<td style="--v:{value:.0f}">{value:.{digits}f}</td>'


def figure(made: Figure, alt: str, caption: str = "") -> str:
    """A figure as inline SVG whose colours follow the page's (light or dark), with a text for who cannot see it."""
    prefix = f"f{next(_number)}-"
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
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{text}{below}</figure>\n"


def panels(fragments: Iterable[str], small: bool = False) -> str:
    return f'<div class="panels{" small" if small else ""}">{"".join(fragments)}</div>\n'


def panel(heading: str, fragment: str) -> str:
    return f"<div><h3>{escape(heading)}</h3>{fragment}</div>\n"


def strip(path: Path, alt: str, caption: str) -> str:
    """A picture of four panels side by side, embedded: as PNG while small, else scaled down, as JPEG."""
    with Image.open(path) as opened:
        picture = _apart(opened.convert("RGB"))
    small = picture.width <= _WIDEST
    if not small:
        picture = picture.resize((_WIDEST, round(picture.height * _WIDEST / picture.width)), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True) if small else picture.save(out, "JPEG", quality=85)
    data = base64.b64encode(out.getvalue()).decode()
    kind = "png" if small else "jpeg"
    names = "".join(f"<span>{name}</span>" for name in ("image", "truth", "prediction", "error"))
    return (
        f'<figure><img{"" if small else " class=photo"} src="data:image/{kind};base64,{data}" alt="{escape(alt)}">'
        f'<div class="strip" aria-hidden="true">{names}</div><figcaption>{escape(caption)}</figcaption></figure>\n'
    )


def _apart(picture: Image.Image) -> Image.Image:
    """The four panels with a gray line between them: truth and prediction often have one ground."""
    side = picture.width // 4
    gap = max(1, side // 64)
    apart = Image.new("RGB", (4 * side + 3 * gap, picture.height), (128, 128, 128))
    for i in range(4):
        apart.paste(picture.crop((i * side, 0, (i + 1) * side, picture.height)), (i * (side + gap), 0))
    return apart


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd><code>{escape(v)}</code></dd>" for k, v in pairs) + "</dl>\n"


def details(summary: str, fragment: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{fragment}</details>\n"


def scroll(fragment: str, label: str) -> str:
    """What may be wider than a phone scrolls by itself; reachable by the keyboard."""
    return f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">{fragment}</div>\n'
