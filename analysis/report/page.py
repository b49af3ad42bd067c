"""The report as HTML: every name escaped, nothing loaded from elsewhere, no script.

`fragments` has the macros of templates/fragments.html, each of which makes a part of the page: `fragments.said(text)`.
"""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from analysis.render.html import templates
from analysis.report import figures

_WIDEST = 1200  # pixels of an embedded picture
_TEMPLATES = templates(Path(__file__).with_name("templates"))
_number = itertools.count()
fragments: Any = _TEMPLATES.get_template("fragments.html").module


def document(title: str, subtitle: str, sections: Sequence[tuple[str, str, Markup]]) -> str:
    """The page; a section is (id, heading, fragment)."""
    return _TEMPLATES.get_template("report.html").render(title=title, subtitle=subtitle, sections=sections) + "\n"


def figure(made: Figure, alt: str) -> Markup:
    """A figure as inline SVG whose colours follow the page's (light or dark), with a text for who cannot see it."""
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
    return fragments.figure(Markup(text))


def strip(path: Path, alt: str, caption: str) -> Markup:
    """A picture of four panels side by side, embedded: as PNG while small, else scaled down, as JPEG."""
    with Image.open(path) as opened:
        picture = _apart(opened.convert("RGB"))
    small = picture.width <= _WIDEST
    if not small:
        picture = picture.resize((_WIDEST, round(picture.height * _WIDEST / picture.width)), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True) if small else picture.save(out, "JPEG", quality=85)
    data = base64.b64encode(out.getvalue()).decode()
    return fragments.strip(f"data:image/{'png' if small else 'jpeg'};base64,{data}", not small, alt, caption)


def _apart(picture: Image.Image) -> Image.Image:
    """The four panels with a gray line between them: truth and prediction often have one ground."""
    side = picture.width // 4
    gap = max(1, side // 64)
    apart = Image.new("RGB", (4 * side + 3 * gap, picture.height), (128, 128, 128))
    for i in range(4):
        apart.paste(picture.crop((i * side, 0, (i + 1) * side, picture.height)), (i * (side + gap), 0))
    return apart
