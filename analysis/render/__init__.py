"""How a table looks: terminal, Markdown, LaTeX (booktabs), HTML, CSV, JSON; with right escaping of every name."""

from __future__ import annotations

from pathlib import Path

from analysis.entry import TableEntry
from analysis.render import layout
from analysis.render.data import bootstrap_csv, significance_csv, to_csv, to_json
from analysis.render.html import fragment, html
from analysis.render.latex import document, latex
from analysis.render.markdown import markdown
from analysis.render.paper import PaperStyle, paper
from analysis.render.terminal import terminal
from analysis.table import Table
from gta.files import write_text

__all__ = [
    "PaperStyle",
    "bootstrap_csv",
    "document",
    "fragment",
    "html",
    "latex",
    "markdown",
    "paper",
    "significance_csv",
    "terminal",
    "text",
    "to_csv",
    "to_json",
    "write_tables",
]


def text(entry: TableEntry | None, best: bool = True) -> str:
    """One entry in plain text: "71.23 ± 0.45 (2) [71.90]", "71.23 (1 of 3) [71.90]", "–: failed"; or ""."""
    return " ".join(layout.parts(entry, best))


def write_tables(table: Table, folder: str | Path, style: PaperStyle | None = None) -> list[Path]:
    """Write table.{md,tex,html,csv,json} into `folder` (made where missing), each atomically; of a table of other
    numbers than usual with what its view adds to the names (table-best.md).

    With a `style` also paper.tex, with a baseline significance.csv, with what is known over images bootstrap.csv;
    without, such a file of an earlier table is removed.
    """
    folder = Path(folder)
    texts = {
        "table.md": markdown(table),
        "table.tex": document(table),
        "table.html": html(table),
        "table.csv": to_csv(table),
        "table.json": to_json(table),
    }
    if style is not None:
        texts["paper.tex"] = paper(table, style)
    if table.baseline:
        texts["significance.csv"] = significance_csv(table)
    if table.over_images:
        texts["bootstrap.csv"] = bootstrap_csv(table)
    for name in {"paper.tex", "significance.csv", "bootstrap.csv"} - set(texts):
        _named(folder / name, table).unlink(missing_ok=True)
    for name, content in texts.items():
        write_text(_named(folder / name, table), content)
    return [_named(folder / name, table) for name in texts]


def _named(path: Path, table: Table) -> Path:
    return path.with_stem(path.stem + table.view.stem)
