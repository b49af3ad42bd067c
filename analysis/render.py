"""How a table looks: terminal, Markdown, LaTeX (booktabs), CSV; with right escaping of every name."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from pathlib import Path

from tabulate import tabulate

from analysis.table import Entry, Table
from gta.files import write_text

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
    # After the \\ of the row above, a [ or * at the start of a row would be taken for an argument of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
CSV_COLUMNS = (
    "row",
    "column",
    "labels",
    "seed",
    "miou_last",
    "miou_last_std",
    "miou_best",
    "miou_best_std",
    "n",
    "wanted",
    "network",
    "signature",
    "reason",
)


def text(entry: Entry | None) -> str:
    """One entry in plain text: "71.23 ± 0.45 (2) [71.90]", "71.23 (1 of 3) [71.90]", "–: failed"; or ""."""
    if entry is None:
        return ""
    if entry.mean is None:
        # The short form of the reason: what went wrong in detail stands below the table.
        return "–: " + ", ".join(dict.fromkeys(reason.partition(":")[0] for reason in entry.missing))
    count = f"({entry.n})" if entry.n == entry.wanted else f"({entry.n} of {entry.wanted})"
    std = "" if entry.std is None else f" ± {entry.std:.2f}"
    best = "" if entry.best_mean is None else f" [{entry.best_mean:.2f}]"
    return f"{entry.mean:.2f}{std} {count}{best}"


def terminal(table: Table) -> str:
    """For a terminal; ends with the footer and the missing cells."""
    body = tabulate(_grid(table), headers=["method", *table.columns], disable_numparse=True)
    lines = [table.title, "", body, ""]
    for note in table.notes:
        lines += textwrap.wrap(note, 100, subsequent_indent="  ")
    if table.missing:
        lines += ["", "Missing:", *(f"  {line}" for line in table.missing)]
    return "\n".join(lines) + "\n"


def markdown(table: Table) -> str:
    """A pipe table with the footer as a list."""
    head = ["Method", *table.columns]
    lines = [f"## {_markdown(table.title)}", "", _pipes(head), _pipes_rule(len(head))]
    lines += [_pipes(row) for row in _grid(table)]
    lines += ["", *(f"- {_markdown(note)}" for note in table.notes)]
    if table.missing:
        lines += ["- Missing:", *(f"  - {_markdown(line)}" for line in table.missing)]
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    """A table environment that compiles as it is in a document that loads booktabs."""
    head = ["Method", *table.columns]
    lines = [
        r"% Generated; needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(table.title)}}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9:.-]', '-', table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _ampersands(head),
        r"\midrule",
        *(_ampersands(row) for row in _grid(table)),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize",
        *(_latex(note) for note in table.notes),
    ]
    if table.missing:
        lines += [r"\par Missing: " + "; ".join(_latex(line) for line in table.missing) + "."]
    return "\n".join([*lines, r"\end{minipage}", r"\end{table}"]) + "\n"


def to_csv(table: Table) -> str:
    """Raw numbers: for each entry a line with seed "all" (means, stds, n, wanted), then a line a seed."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        for column in table.columns:
            entry = table.entries.get((row, column))
            if entry is None:
                continue
            place = {"row": row, "column": column, "labels": entry.scores[0].wanted.labels}
            writer.writerow(
                place
                | {
                    "seed": "all",
                    "miou_last": _number(entry.mean),
                    "miou_last_std": _number(entry.std),
                    "miou_best": _number(entry.best_mean),
                    "miou_best_std": _number(entry.best_std),
                    "n": entry.n,
                    "wanted": entry.wanted,
                    "network": ", ".join(dict.fromkeys(score.network for score in entry.done)),
                    "reason": "; ".join(entry.missing),
                }
            )
            for score in entry.scores:
                writer.writerow(
                    place
                    | {
                        "seed": score.wanted.seed,
                        "miou_last": _number(score.last),
                        "miou_best": _number(score.best),
                        "network": score.network,
                        "signature": score.wanted.signature,
                        "reason": score.reason,
                    }
                )
    return out.getvalue()


def write(table: Table, folder: str | Path) -> list[Path]:
    """Write table.md, table.tex and table.csv into `folder` (made where missing), each atomically."""
    folder = Path(folder)
    texts = {"table.md": markdown(table), "table.tex": latex(table), "table.csv": to_csv(table)}
    for name, content in texts.items():
        write_text(folder / name, content)
    return [folder / name for name in texts]


def _grid(table: Table) -> list[list[str]]:
    return [[row, *(text(table.entries.get((row, column))) for column in table.columns)] for row in table.rows]


def _pipes(cells: list[str]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"


def _pipes_rule(width: int) -> str:
    return "| " + " | ".join(["---", *["---:"] * (width - 1)]) + " |"


def _ampersands(cells: list[str]) -> str:
    return " & ".join(_latex(cell) for cell in cells) + r" \\"


def _latex(name: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(name.split()))


def _markdown(name: str) -> str:
    name = re.sub(r"([\\`*<>|~$&])", r"\\\1", " ".join(name.split()))
    name = re.sub(r"^\[|\](?=[(\[:])", r"\\\g<0>", name)  # what could become a link or a check box
    # Between letters an underscore is an underscore (mean_teacher); at a word's edge it starts emphasis.
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", name)


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)
