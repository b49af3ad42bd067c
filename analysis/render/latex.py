"""The table in LaTeX with booktabs: compiles by itself, and as an \\input in a document that loads booktabs."""

from __future__ import annotations

import re
import unicodedata

from analysis.render import layout
from analysis.render.layout import BEST, SECOND, Section, ShownRow
from analysis.table import Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "'": r"{\char39}",
    "`": r"{\char96}",
    "±": r"$\pm$",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "∞": r"$\infty$",
    "µ": r"$\mu$",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    # After the \\ of the row above, a [ or * at the start of a row would be taken for an argument of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
EMPHASIS = {BEST: r"\textbf{%s}", SECOND: r"\underline{%s}"}
_START = r"""% Generated. Compiles by itself; or \input it in a document that loads booktabs (and xcolor for grey rows).
\makeatletter
\ifx\@nodocument\relax\else
  \documentclass{article}
  \usepackage{booktabs,xcolor}
  \usepackage[paperwidth=@PAPER@cm,paperheight=29.7cm,margin=1.5cm]{geometry}
  \pagestyle{empty}
  \def\endoftable{\end{document}}
\begin{document}
\fi
\makeatother"""


def latex(table: Table) -> str:
    """A table environment; alone it is a document of its own."""
    head = layout.head(table, "Method")
    rows = layout.rows(table)
    ours = [_row(row) for row in rows if not row.published]
    theirs = [_row(row) for row in rows if row.published]
    sections = layout.sections(table)
    notes = [escape(note) for note in [*layout.notes(table), *layout.footnotes(table)]]
    if gaps := layout.gaps(table):
        command = layout.filling(table)
        notes.append(escape(gaps) + (rf": \texttt{{{escape(command)}}}" if command else "."))
        notes += [f"{escape(line)}." for line in layout.missing(table)]
        notes += [rf"{escape(heads)}: \texttt{{{escape(command)}}}" for heads, command in layout.fill(table)]
    return "\n".join(
        [
            *([r"\providecommand{\textcolor}[2]{#2}"] if theirs else []),
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(table.title)}}}",
            rf"\label{{{label(f'tab:{table.title}')}}}",
            rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"\toprule",
            ampersands([escape(name) for name in head]),
            r"\midrule",
            *ours,
            *([r"\midrule", *theirs] if theirs else []),
            r"\bottomrule",
            r"\end{tabular}",
            *(line for section in sections for line in _section(section)),
            "",
            r"\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
            *(rf"{note}\par" for note in [*notes, *(escape(note) for one in sections for note in one.notes)]),
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def document(table: Table) -> str:
    """`latex`, in a frame that makes a whole document of it where it is compiled by itself."""
    rows = ([row.name, *(" ".join(cell.parts) for cell in row.cells)] for row in layout.rows(table))
    grid = [layout.head(table), *rows]
    paper = max(21.0, 4 + sum(0.2 * max(map(len, column)) + 0.6 for column in zip(*grid, strict=True)))  # cm
    close = "\\ifdefined\\endoftable\\expandafter\\endoftable\\fi\n"
    return f"{_START.replace('@PAPER@', f'{paper:.1f}')}\n{latex(table)}{close}"


def escape(name: str) -> str:
    """`name` as one line in which nothing is a command; what pdfLaTeX has no letter for is named by its code."""
    text: list[str] = []
    for character in layout.clean(name):
        if character == "-" and text and text[-1] == "-":
            text.append("{}")  # two hyphens, and no dash
        text.append(_SPECIAL.get(character) or (character if character.isascii() else _letter(character)))
    return "".join(text)


def label(name: str) -> str:
    """`name` as a \\label that every \\ref takes."""
    return re.sub(r"[^A-Za-z0-9:.-]", "-", name)


def _letter(character: str) -> str:
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    words = unicodedata.name(character, "").split()
    if len(words) == 4 and words[0] == "GREEK" and words[2] == "LETTER":
        name = words[3].lower().replace("lamda", "lambda")
        name = name.capitalize() if words[1] == "CAPITAL" else name
        if name in _GREEK.split():
            return rf"$\{name}$"
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _row(row: ShownRow) -> str:
    name = escape(row.name) + _marks(row.marks)
    cells = [name, *(cell.text(escape, EMPHASIS, _marks) for cell in row.cells)]
    if row.published:
        cells = [rf"\textcolor{{gray}}{{{cell}}}" if cell else "" for cell in cells]
    return ampersands(cells)


def _marks(marks: str) -> str:
    return rf"\textsuperscript{{{marks.replace(' ', '')}}}" if marks else ""


def _section(section: Section) -> list[str]:
    if not section.rows:
        return []
    return [
        "",
        rf"\medskip {escape(section.title)}\par\smallskip",
        rf"\begin{{tabular}}{{ll{'r' * (len(section.head) - 2)}}}",
        r"\toprule",
        ampersands([escape(name) for name in section.head]),
        r"\midrule",
        *(ampersands([escape(cell) for cell in row]) for row in section.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def ampersands(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
