"""The board's words: states in the order of what needs a look, counts, times, hours, and what to do."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from gta.cellfolder import Death
from launch.show.rows import BoardRow, counts
from launch.state.ledger import Entry, State
from launch.state.policy import POLICY
from launch.state.silent import moment

STYLES = {
    "damaged": "bold red",
    "failed": "red",
    "held": "bold yellow",
    "stuck": "bold magenta",
    "suspended": "yellow",
    "lost": "magenta",
    "unknown": "yellow",
    "running": "cyan",
    "starting": "cyan",
    "ending": "cyan",
    "requeued": "blue",
    "stopped": "yellow",
    "cancelled": "yellow",
    "queued": "blue",
    "never run": "dim",
    "done": "green",
}
URGENT = tuple(STYLES)  # what needs a look first, what is done last
TOLD = ("damaged", "failed", "held", "stuck", "suspended", "cancelled")  # whose reasons are told below the board


def summary(entries: Sequence[Entry]) -> str:
    """Such as "12 cells: 4 done, 2 running, 6 never run"."""
    found = Counter(entry.state for entry in entries)
    parts = [f"{found[state]} {state}" for state in State if found[state]]
    return f"{_cells(len(entries))}: {', '.join(parts)}"


def totals(table: Sequence[BoardRow]) -> str:
    """The summary in the board's words, with what was spent."""
    gpu, core = sum(row.gpu_hours for row in table), sum(row.core_hours for row in table)
    spent = [f"{hours(value)} {name}" for value, name in ((gpu, "GPU-hours"), (core, "core-hours")) if value]
    said = f"{_cells(len(table))}: {counted(table, reversed(URGENT))}" if table else "no cells"
    return "; ".join([said, *([" and ".join(spent) + " used"] if spent else [])])


def counted(table: Sequence[BoardRow], order: Iterable[str] = URGENT) -> str:
    """Such as "2 failed, 6 queued"."""
    found = counts(table)
    return ", ".join(f"{found[state]} {state}" for state in order if state in found)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def brief(row: BoardRow) -> str:
    """Why a cell has no result, without what other columns say: its node and job, and how far it came."""
    if row.state == "running":
        return "" if row.what.startswith("on ") else row.what  # a record that is broken
    if row.state in ("lost", "stopped"):
        return row.cause or ""
    return row.what


def notes(table: Iterable[BoardRow]) -> list[str]:
    """What is behind the states of cells, a line for each reason: "2 failed: exception: boom"."""
    groups: dict[tuple[str, str], list[BoardRow]] = {}
    for row in table:
        if text := brief(row):
            groups.setdefault((row.state, text), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: (URGENT.index(item[0][0]), -len(item[1])))
    return [f"{len(rows)} {state}{_named(rows)}: {text}" for (state, text), rows in ordered]


def _named(rows: Sequence[BoardRow]) -> str:
    return f" ({rows[0].signature[:8]})" if len(rows) == 1 else ""


def advice(table: Sequence[BoardRow]) -> list[str]:
    """What to do about the cells that will not go on by themselves, a line a cause."""
    causes = Counter(row.cause for row in table if row.state in ("failed", "cancelled") and row.cause)
    made = [f"{count} {cause}: {POLICY[Death(cause)].advice}" for cause, count in sorted(causes.items())]
    hurt = [row.signature for row in table if row.damaged]
    return [*made, f"{len(hurt)} damaged: `gta repair {hurt[0][:8]}` says what can be made again"] if hurt else made


def expected(table: Sequence[BoardRow]) -> str:
    """When Slurm expects to start the next of the cells that wait there, called its own estimate; that it is unknown
    where Slurm does not say. Empty where none waits.

    One estimate is said, not each cell's: those of an array share that of its next task.
    """
    waiting = [row for row in table if row.in_slurm and row.state in ("queued", "requeued")]
    if not waiting:
        return ""
    known = [row.expected for row in waiting if row.expected is not None and row.expected > time.time()]
    said = f"start of the next cell ({len(waiting)} wait in Slurm), Slurm's own estimate: "
    if not known:
        return f"{said}unknown"
    unknown = len(waiting) - len(known)
    return f"{said}{moment(min(known))}" + (f" (unknown for {unknown})" if unknown else "")


def duration(seconds: float) -> str:
    """Seconds as 42 s, 3 min 05 s or 2 h 10 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 360000:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} days"


def hours(value: float) -> str:
    """Hours with three figures or so: 0.012, 1.25, 137."""
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """The lines of a text, parted between words; a longer word (a path) stays whole."""
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def cut(text: str, width: int) -> str:
    """The beginning of a text that is too long for so many cells of a terminal, with a sign that there is more."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width else ""
