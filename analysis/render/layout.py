"""A table as rows of short texts with their emphasis: what all formats share. Nothing is escaped here."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from analysis import aggregate, bootstrap, significance
from analysis.bootstrap import OverImages
from analysis.entry import TableEntry, short
from analysis.significance import Comparison
from analysis.table import Table

BEST, SECOND = 1, 2
SIGNIFICANCE_HEAD = ["method", "column", "seeds", "difference", "95 % interval", "p", "p (Holm)", "d"]
IMAGES_HEAD = ["method", "column", "seeds", "mIoU", "95 % over images"]
IMAGES_AGAINST = ["difference", "its 95 %"]
STYLE_NOTE = "Bold: best of the column, underlined: second, of those with all seeds."
GREY_NOTE = "Grey: published numbers, not made here and not ranked; marks are explained below."


@dataclass(frozen=True)
class ShownEntry:
    """One entry: its parts ("71.67 ± 1.19", "(2)", "[71.90]", "+1.74"), the rank of its first, its footnotes."""

    parts: tuple[str, ...] = ()
    rank: int = 0
    marks: str = ""

    @property
    def missing(self) -> bool:
        """It says why there is no number."""
        return len(self.parts) == 1 and self.parts[0].startswith("–")

    def text(self, escape: Callable[[str], str], emphasis: Mapping[int, str], marks: Callable[[str], str]) -> str:
        """The entry in a format: its parts escaped, the first in the emphasis of its rank ("**%s**"), and its marks."""
        if not self.parts:
            return ""
        first, *others = map(escape, self.parts)
        text = " ".join([emphasis.get(self.rank, "%s") % first, *others])
        return text + marks(self.marks)


@dataclass(frozen=True)
class ShownRow:
    name: str
    cells: list[ShownEntry]
    published: bool = False
    marks: str = ""


def rows(table: Table, counts: bool = True) -> list[ShownRow]:
    """Our rows, then the published ones; `counts`: an entry says over how many seeds it is."""
    ranks = {column: table.ranks(column) for column in table.columns}
    found = []
    for row in table.rows:
        cells = []
        for column in table.columns:
            own = parts(table.entries.get((row, column)), table.best, counts)
            compared = table.comparison(row, column)
            if own and compared and compared.difference is not None:
                own = (*own, f"{_round(compared.difference):+.2f}")
            cells.append(ShownEntry(own, ranks[column].get(row, 0)))
        found.append(ShownRow(clean(row), cells))
    for beside in table.published:
        cells = [
            ShownEntry((f"{place[0].miou:.2f}",), marks=place[1])
            if (place := beside.numbers.get(column))
            else ShownEntry()
            for column in table.columns
        ]
        found.append(ShownRow(clean(beside.method), cells, published=True, marks=beside.marks))
    return found


def shared_count(table: Table) -> int | None:
    """The number of seeds of every entry that has a number, where each has all of its own; else None."""
    done = [entry for entry in table.entries.values() if entry.n]
    counts = {entry.n for entry in done}
    return counts.pop() if len(counts) == 1 and all(entry.n == entry.wanted for entry in done) else None


def parts(entry: TableEntry | None, best: bool = True, counts: bool = True) -> tuple[str, ...]:
    """One entry: ("71.23 ± 0.45", "(2)", "[71.90]"), ("71.23", "(1 of 3)", "[71.90]"), ("–: failed",), or ().

    Without `counts` the second of them is left out.
    """
    if entry is None:
        return ()
    if entry.mean is None:
        return (clean("–: " + ", ".join(dict.fromkeys(short(reason) for reason in entry.missing))),)
    std = "" if entry.std is None else f" ± {entry.std:.2f}"
    count = (f"({entry.n})" if entry.n == entry.wanted else f"({entry.n} of {entry.wanted})",) if counts else ()
    picked = (f"[{entry.best_mean:.2f}]",) if best and entry.best_mean is not None else ()
    return (f"{entry.mean:.2f}{std}", *count, *picked)


def head(table: Table, first: str = "method") -> list[str]:
    return [first, *(clean(column) for column in table.columns)]


def notes(table: Table, styled: bool = True) -> list[str]:
    """The footer. `styled`: the format can show bold, underlined and grey."""
    found = [clean(note) for note in table.notes]
    if table.baseline:
        found.append(f"Last in an entry: difference to {clean(table.baseline)} over the seeds that both have.")
    if styled and any(table.ranks(column) for column in table.columns):
        found.append(STYLE_NOTE)
    if table.published:
        found.append(GREY_NOTE if styled else GREY_NOTE.replace("Grey: p", "P"))
    return found


def footnotes(table: Table) -> list[str]:
    return [clean(note) for note in table.footnotes]


def gaps(table: Table) -> str:
    """How many cells are missing and why, in one line: "3 of 12 cells are missing (1 failed, 2 never run)"; or ""."""
    if not (counts := table.gaps):
        return ""
    many = table.absent
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return clean(f"{many} of {table.wanted} cells {'is' if many == 1 else 'are'} missing ({reasons})")


def filling(table: Table) -> str:
    """The command that fills what is missing, of several the one that trains; or ""."""
    commands = sorted(table.fill, key=lambda command: not command.startswith("gta multirun "))
    return clean(commands[0]) if commands else ""


def missing(table: Table) -> list[str]:
    """A line for each row, column and reason, where they are to be listed."""
    return [clean(line) for line in table.missing] if table.listed else []


def fill(table: Table) -> list[tuple[str, str]]:
    """(which reasons, the command that fills those cells), where missing cells are to be listed."""
    found = table.fill.items() if table.listed else ()
    return [(clean(", ".join(heads)), clean(command)) for command, heads in found]


@dataclass(frozen=True)
class Section:
    """What stands below a table: rows under heads, the first two of which are names, and what they mean."""

    title: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str]


def sections(table: Table) -> list[Section]:
    """What is said of the table's numbers: against the baseline, over images."""
    found = []
    if table.baseline:
        title = f"Against {clean(table.baseline)}"
        found.append(Section(title, SIGNIFICANCE_HEAD, significance_rows(table), significance_notes(table)))
    if told := bootstrap.notes(table.over_images, table.uncounted, table.baseline):
        head = [*IMAGES_HEAD, *(IMAGES_AGAINST if table.baseline else [])]
        rows = [_over_images(one, len(head)) for one in table.over_images]
        found.append(Section("Over images", head, rows, [clean(note) for note in told]))
    return found


def significance_rows(table: Table) -> list[list[str]]:
    """A line for each row and column with the baseline's seeds; without enough of them, what is not known is a dash."""
    return [_compared(comparison) for comparison in table.comparisons if comparison.difference is not None]


def significance_notes(table: Table) -> list[str]:
    if not table.baseline:
        return []
    told = significance.notes(table.comparisons, table.baseline, table.view.at)
    for columns in dict.fromkeys(one.columns for one in table.aggregates):
        told += aggregate.notes([one for one in table.aggregates if one.columns == columns], table.baseline)
    return [clean(note) for note in told]


def _over_images(one: OverImages, columns: int) -> list[str]:
    row = [clean(one.row), clean(one.column), str(len(one.seeds)), f"{one.miou.value:.2f}"]
    row.append(f"{one.miou.low:.2f} to {one.miou.high:.2f}")
    if (apart := one.difference) is not None:
        row += [f"{_round(apart.value):+.2f}", f"{_round(apart.low):+.2f} to {_round(apart.high):+.2f}"]
    return [*row, *["–"] * (columns - len(row))]


def _compared(c: Comparison) -> list[str]:
    assert c.difference is not None
    row = [clean(c.row), clean(c.column), str(len(c.seeds)), f"{_round(c.difference):+.2f}"]
    if c.low is None or c.high is None or c.p is None or c.p_holm is None:
        return [*row, "–", "–", "–", "–"]
    effect = "–" if c.effect is None else f"{c.effect:+.2f}"
    return [*row, f"{_round(c.low):+.2f} to {_round(c.high):+.2f}", f"{c.p:.3g}", f"{c.p_holm:.3g}", effect]


def _round(value: float) -> float:
    """Two decimals, without a minus before zero."""
    return round(value, 2) + 0.0


def clean(name: str) -> str:
    """One line of printable text: whitespace becomes single spaces, control characters are replaced."""
    joined = " ".join(name.split())
    # Cc: escape sequences; Cf: what turns the direction of text; Cs: halves of a character.
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in joined)
