"""What a person sees while a grid runs: which cells wait, run, are done; iteration, loss, time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from gta import journal
from launch.ledger import Entry, State

STYLES = {
    State.DONE: "green",
    State.RUNNING: "cyan",
    State.QUEUED: "blue",
    State.FAILED: "red",
    State.RESUMABLE: "yellow",
    State.NEVER_RUN: "dim",
}
LINES_EVERY = 20.0  # seconds between lines where the output is no terminal


def summary(entries: Sequence[Entry]) -> str:
    """Such as "12 cells: 4 done, 2 running, 6 never run"."""
    counts = Counter(entry.state for entry in entries)
    parts = [f"{counts[state]} {state}" for state in State if counts[state]]
    return f"{len(entries)} cells: {', '.join(parts)}"


def progress(entry: Entry) -> tuple[str, str, str]:
    """Iteration, loss and time left of a running cell, as text; empty where unknown."""
    total = entry.cell.config.schedule.iterations
    if entry.state is not State.RUNNING:
        return "", "", ""
    seen = journal.last(entry.cell.folder / "journal.jsonl")
    if seen is None:
        return f"0/{total}", "", "starting"
    values = seen["values"]
    losses = [float(value) for name, value in values.items() if name.startswith("loss/")]
    left = ""
    if "seconds" in values and seen["iteration"]:
        left = duration((total - seen["iteration"]) * float(values["seconds"]) / seen["iteration"])
    return f"{seen['iteration']}/{total}", f"{sum(losses):.3f}" if losses else "", left


def duration(seconds: float) -> str:
    """Seconds as 42 s, 3 min 05 s or 2 h 10 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def table(entries: Sequence[Entry], title: str = "") -> Table:
    """The board of a grid, one line a cell."""
    board = Table(title=title or None, box=None, pad_edge=False)
    for name in ("cell", "method", "split", "seed", "state", "iteration", "loss", "left", "what"):
        board.add_column(name, overflow="fold" if name == "what" else "ellipsis", no_wrap=name != "what")
    for entry in entries:
        cell = entry.cell
        style = STYLES[entry.state]
        state = f"[{style}]{entry.state}[/{style}]"
        what = entry.detail if entry.state is not State.RUNNING else ""
        seed = str(cell.config.seed)
        board.add_row(cell.signature[:8], cell.row, cell.column, seed, state, *progress(entry), what)
    return board


class Board:
    """Shows the grid while it runs: a live board on a terminal, a line for each change elsewhere."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)
        self._live: Live | None = None
        self._states: dict[str, State] = {}
        self._last_lines = 0.0

    def __enter__(self) -> Board:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, entries: Sequence[Entry]) -> None:
        if self._live:
            self._live.update(table(entries, summary(entries)))
            return
        changed = [e for e in entries if self._states.get(e.cell.signature, e.state) is not e.state]
        for entry in changed:
            self.console.print(
                f"  {entry.cell.title}: {entry.state} {entry.detail}".rstrip(), markup=False, soft_wrap=True
            )
        self._states = {entry.cell.signature: entry.state for entry in entries}
        if time.monotonic() - self._last_lines >= LINES_EVERY or changed:
            self._last_lines = time.monotonic()
            running = []
            for entry in entries:
                iteration, loss, left = progress(entry)
                if iteration:
                    running.append(f"{entry.cell.title}: iteration {iteration}, loss {loss or '-'}, left {left or '-'}")
            line = " | ".join([summary(entries), *running])
            self.console.print(line, markup=False, soft_wrap=True)
