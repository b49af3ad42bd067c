"""What a person sees of a grid: which cells wait, run, are done; how fast, how long still, at what cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from gta.cellfolder import Death
from launch.show.rows import BoardRow, counts, row, rows
from launch.state.ledger import Entry, State
from launch.state.policy import POLICY

STYLES = {
    "done": "green",
    "running": "cyan",
    "starting": "cyan",
    "queued": "blue",
    "requeued": "blue",
    "failed": "red",
    "lost": "magenta",
    "stopped": "yellow",
    "cancelled": "yellow",
    "never run": "dim",
    "broken": "bold red",
}
URGENT = (
    "broken",
    "failed",
    "lost",
    "running",
    "starting",
    "requeued",
    "stopped",
    "cancelled",
    "queued",
    "never run",
    "done",
)
LINES_EVERY = 20.0  # seconds between lines where the output is no terminal
WHAT_WIDTH = 28  # characters that the last column needs to be readable
NARROW = 18  # the same where the window is narrow


def summary(entries: Sequence[Entry]) -> str:
    """Such as "12 cells: 4 done, 2 running, 6 never run"."""
    found = Counter(entry.state for entry in entries)
    parts = [f"{found[state]} {state}" for state in State if found[state]]
    return f"{len(entries)} cells: {', '.join(parts)}"


def totals(table: Sequence[BoardRow]) -> str:
    """The summary in the board's words, with what was spent."""
    found = counts(table)
    parts = [f"{found[state]} {state}" for state in reversed(URGENT) if state in found]
    gpu, core = sum(row.gpu_hours for row in table), sum(row.core_hours for row in table)
    spent = [f"{hours(value)} {name}" for value, name in ((gpu, "GPU-hours"), (core, "core-hours")) if value]
    return "; ".join([f"{len(table)} cells: {', '.join(parts)}", *([" and ".join(spent) + " used"] if spent else [])])


def advice(table: Iterable[BoardRow]) -> list[str]:
    """What to do about the cells that will not go on by themselves, a line a cause."""
    causes = Counter(row.cause for row in table if row.state in ("failed", "cancelled") and row.cause)
    return [f"{count} {cause}: {POLICY[Death(cause)].advice}" for cause, count in sorted(causes.items())]


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


def _progress(row: BoardRow) -> str:
    """How far a cell is, or what came of it."""
    if row.miou is not None:
        return f"mIoU {row.miou:.2f}"
    if row.iteration is None:
        return f"0/{row.iterations}" if row.state == "running" else ""
    return f"{row.iteration}/{row.iterations}"


def _rate(row: BoardRow) -> str:
    return "" if row.rate is None else f"{row.rate:.3g}" if row.rate < 100 else f"{row.rate:.0f}"


def _cost(row: BoardRow) -> str:
    return hours(row.gpu_hours or row.core_hours) if row.attempts else ""


# name, text, and how soon the column goes where the window is narrow (0: it stays)
COLUMNS: list[tuple[str, Callable[[BoardRow], str], int]] = [
    ("cell", lambda row: row.signature[:8], 0),
    ("method", lambda row: row.method, 0),
    ("split", lambda row: row.split, 0),
    ("seed", lambda row: str(row.seed), 0),
    ("state", lambda row: row.state, 0),
    ("progress", _progress, 0),
    ("it/s", _rate, 5),
    ("loss", lambda row: "" if row.loss is None or row.state != "running" else f"{row.loss:.3f}", 8),
    ("left", lambda row: "" if row.left is None else duration(row.left), 2),
    ("node", lambda row: row.node or "", 7),
    ("tries", lambda row: str(row.attempts or ""), 4),
    ("cost", _cost, 6),
]
RIGHT = ("seed", "progress", "it/s", "loss", "left", "tries", "cost")


def table(shown: Sequence[BoardRow], width: int, title: str = "") -> Table:
    """The board, one line a cell, with as many columns as `width` characters hold; empty ones are left out."""
    texts = {name: [text(row) for row in shown] for name, text, _ in COLUMNS}
    wide = {name: max([len(name), *map(len, column)]) + 2 for name, column in texts.items() if any(column)}
    what = [row.what for row in shown]
    if any(row.node and "node" in wide for row in shown):
        what = [text.removeprefix(f"on {row.node}, ") for text, row in zip(what, shown, strict=True)]
    wanted = min(max(map(len, what), default=0), WHAT_WIDTH if width >= 100 else NARROW)
    for name, _, _ in sorted((column for column in COLUMNS if column[2]), key=lambda column: -column[2]):
        if sum(wide.values()) + wanted > width:
            wide.pop(name, None)
    board = Table(title=escape(title) or None, box=None, pad_edge=False, title_justify="left")
    for name in wide:
        justify = "right" if name in RIGHT else "left"
        board.add_column(_header(name, shown), justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    if any(what):
        board.add_column("what", overflow="fold")
    for i, one in enumerate(shown):
        cells = {name: escape(texts[name][i]) for name in wide}
        cells["state"] = f"[{STYLES[one.state]}]{one.state}[/]"
        board.add_row(*cells.values(), *([escape(what[i])] if any(what) else []))
    return board


def _header(name: str, shown: Sequence[BoardRow]) -> str:
    if name != "cost":
        return name
    return "GPU-h" if any(row.gpu_hours for row in shown) else "core-h"


def fitting(shown: Sequence[BoardRow], lines: int) -> tuple[list[BoardRow], str]:
    """Those rows that fit into so many lines, what needs a look first, in the grid's order; and what was left out."""
    if len(shown) <= lines:
        return list(shown), ""
    order = {state: place for place, state in enumerate(URGENT)}
    first = sorted(range(len(shown)), key=lambda i: (order[shown[i].state], i))[: max(1, lines - 1)]
    rest = counts([row for i, row in enumerate(shown) if i not in set(first)])
    words = ", ".join(f"{rest[state]} {state}" for state in URGENT if state in rest)
    return [shown[i] for i in sorted(first)], f"... and {words}"


class Board:
    """Shows the grid while it runs: a live board on a terminal, a line for each change elsewhere."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)
        self._live: Live | None = None
        self._states: dict[str, State] = {}
        self._over: dict[str, BoardRow] = {}  # what is done does not change any more
        self._last_lines = 0.0

    def __enter__(self) -> Board:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def rows(self, entries: Sequence[Entry]) -> list[BoardRow]:
        """The rows of entries; of cells that are done, only once read."""
        made = []
        for entry in entries:
            signature = entry.cell.signature
            if entry.state is State.DONE and signature not in self._over:
                self._over[signature] = row(entry)
            made.append(self._over[signature] if entry.state is State.DONE else row(entry))
        return made

    def show(self, entries: Sequence[Entry]) -> None:
        if self._live:
            everything = self.rows(entries)
            shown, more = fitting(everything, self.console.height - 4)
            board = table(shown, self.console.width, totals(everything))
            board.caption, board.caption_justify = more or None, "left"
            self._live.update(board)
            return
        changed = [e for e in entries if self._states.get(e.cell.signature, e.state) is not e.state]
        for entry in changed:
            self.console.print(
                f"  {entry.cell.title}: {entry.state} {entry.detail}".rstrip(), markup=False, soft_wrap=True
            )
        self._states = {entry.cell.signature: entry.state for entry in entries}
        if time.monotonic() - self._last_lines >= LINES_EVERY or changed:
            self._last_lines = time.monotonic()
            running = [_line(row) for row in rows(e for e in entries if e.state is State.RUNNING)]
            self.console.print(" | ".join([summary(entries), *running]), markup=False, soft_wrap=True)


def _line(row: BoardRow) -> str:
    loss = "-" if row.loss is None else f"{row.loss:.3f}"
    left = "-" if row.left is None else duration(row.left)
    return f"{row.method} {row.split} seed {row.seed}: iteration {_progress(row)}, loss {loss}, left {left}"
