"""What a person sees of a grid: which cells wait, run, are done; how fast, how long still, at what cost."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gta import bars
from gta.masking import mask_output, styled
from gta.progress import Work, shown_by
from gta.text import printable
from launch.show.layout import Layout, layout
from launch.show.pace import pace
from launch.show.rows import BoardRow, row
from launch.show.words import (
    STYLES,
    TOLD,
    URGENT,
    brief,
    counted,
    cut,
    duration,
    expected,
    notes,
    summary,
    totals,
    wrapped,
)
from launch.state.jobs import Unknown
from launch.state.ledger import Entry, State, silence

LINES_EVERY = 20.0  # seconds between lines where the output is no terminal
BAR = 30  # characters
NOTES = 4  # reasons below a board that has to fit into a window
MOST = 100  # cells that a board shows where it need not fit into a window


def fitting(shown: Sequence[BoardRow], lines: int) -> tuple[list[BoardRow], str]:
    """Those rows that fit into so many lines, what needs a look first, in the grid's order; and what was left out."""
    if len(shown) <= lines:
        return list(shown), ""
    order = {state: place for place, state in enumerate(URGENT)}
    first = set(sorted(range(len(shown)), key=lambda i: (order[shown[i].state], i))[: max(1, lines - 1)])
    rest = [row for i, row in enumerate(shown) if i not in first]
    return [shown[i] for i in sorted(first)], f"... and {counted(rest)}"


def page(table: Sequence[BoardRow], width: int, most: int | None = MOST) -> tuple[list[Text], list[str]]:
    """The board as it is printed: a line a cell, at most so many of them (None: all), with what is left out; and what
    is to be said below it, lest it be read nowhere: reasons, parted between words.
    """
    shown, more = fitting(table, len(table) if most is None else most)
    made = layout(shown, width)
    lines = [*made.lines, *([Text(more, style="dim", no_wrap=True)] if more else [])]
    untold = {row.signature for row in _untold(table, shown, made)}
    below = [row for row in table if row.state in TOLD or row.signature in untold]
    return lines, [part for line in notes(below) for part in wrapped(line, width - 2, "    ")]


def frame(
    table: Sequence[BoardRow], width: int, height: int, since: float | None = None, said: str = "", doing: str = ""
) -> list[Text]:
    """The board as lines of a window: none is folded, and they are no more than the window has.

    `since`: when somebody began to look (time.time); `said`: what else there is to say, such as who does not answer;
    `doing`: what the launcher does at this moment that takes a while.
    """
    head = [Text(line, no_wrap=True) for line in wrapped(totals(table), width)]
    head.append(bar(table, width, since))
    head += [Text(line, style="dim", no_wrap=True) for line in wrapped(expected(table), width)]
    if said:
        head += [Text(line, style="yellow", no_wrap=True) for line in wrapped(said, width)]
    if doing:
        head.append(Text(cut(doing, width), style="dim", no_wrap=True))
    room = max(2, height - len(head) - 1)  # less the line with the columns' names
    told: list[str] = []
    for _ in range(2):  # what is said below takes lines of cells, of which more may then have to be said
        shown, more = fitting(table, room - min(len(told), NOTES, max(0, room - 3)))
        made = layout(shown, width)
        told = notes(_untold(table, shown, made))
    below = min(len(told), NOTES, max(0, room - 3))
    shown, more = fitting(table, room - below)
    tail = [Text(cut(more, width), style="dim", no_wrap=True)] if more else []
    if below:
        rest = len(told) - below
        lines = [*told[: below - 1], f"... and {rest + 1} more reasons: `gta status`"] if rest else told
        tail += [Text(cut(line, width), style=_style(line), no_wrap=True) for line in lines]
    return [*head, *layout(shown, width).lines, *tail]


def _untold(table: Sequence[BoardRow], shown: Sequence[BoardRow], made: Layout) -> list[BoardRow]:
    """The cells of reasons that cannot be read on each cell's own line."""
    read = {row.signature for row in shown if made.tells(row)}
    reasons = {(row.state, brief(row)) for row in table if row.signature not in read}
    return [row for row in table if (row.state, brief(row)) in reasons]


def _style(note: str) -> str:
    state = next((state for state in URGENT if note.partition(" ")[2].startswith(state)), "")
    return STYLES.get(state, "dim") if state in TOLD else "dim"


def bar(table: Sequence[BoardRow], width: int, since: float | None = None) -> Text:
    """How much of the grid's work is done, in the colours of its states; since when, how fast, and for how long still.

    It is made shorter for the words behind it, which are not cut.
    """
    line = Text(no_wrap=True, overflow="crop")
    looked = [f"{duration(time.time() - since)} so far"] if since is not None else []
    words = ", ".join([*looked, *pace(table)])
    size = min(BAR, max(10, width - len(words) - 10))
    work = sum(row.iterations for row in table) or 1
    made, cells = sum(map(_made, table)), 0
    for state in reversed(URGENT):
        of = [row for row in table if row.state == state]
        part = sum(row.iterations if state in ("failed", "damaged") else _made(row) for row in of) / work
        line.append("━" * (length := round(size * part)), style=STYLES[state])
        cells += length
    line.append("━" * (size - cells), style="bright_black")
    line.append(f"  {int(100 * made / work)}%")
    return line.append(f"  {words}") if words else line


def _made(row: BoardRow) -> int:
    return row.iterations if row.state == "done" else min(row.iteration or 0, row.iterations)


class Board:
    """Shows the grid while it runs: a live board on a terminal, a line for each change elsewhere; and how far a long
    work of the launcher's is, such as copying the code.
    """

    def __init__(self, console: Console | None = None):
        # without folding: it breaks long paths in the middle
        self.console = console or Console(file=styled(sys.stdout), highlight=False, soft_wrap=True)
        self.since = time.time()
        self._live: Live | None = None
        self._works: list[tuple[Work, float]] = []  # and since when
        self._shown = ExitStack()
        self._states: dict[str, State] = {}
        self._over: dict[str, BoardRow] = {}  # what is done does not change any more
        self._table: list[BoardRow] = []
        self._said = ""
        self._silent = ""  # since when
        self._last_lines = -math.inf

    def __enter__(self) -> Board:
        if self.console.is_terminal:
            # its last picture stays on the screen
            self._live = Live(console=self.console, refresh_per_second=2, get_renderable=self._picture)
            self._live.start()
            mask_output()  # what others print meanwhile comes to rich, in the place of our stream
        self._shown.enter_context(shown_by(self._work if self._live else bars.Lines()))
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()
        if self._live:
            self._works.clear()
            self._live.stop()

    @contextmanager
    def _work(self, work: Work) -> Iterator[None]:
        """A work as the board shows it, once it takes its time: the window is drawn anew by itself."""
        entry = (work, time.monotonic())
        self._works.append(entry)
        try:
            yield
        finally:
            if entry in self._works:
                self._works.remove(entry)

    def _doing(self) -> str:
        late = time.monotonic() - bars.AFTER_SECONDS
        return next((f"{bars.said(work)} ..." for work, began in list(self._works) if began <= late), "")

    def _picture(self) -> Group:
        width, height = self.console.width, self.console.height - 1
        return Group(*frame(self._table, width, height, self.since, self._said, self._doing()))

    def rows(self, entries: Sequence[Entry]) -> list[BoardRow]:
        """The rows of entries; of cells that are done, only once read."""
        made = []
        for entry in entries:
            signature = entry.cell.signature
            if entry.state is State.DONE and signature not in self._over:
                self._over[signature] = row(entry)
            made.append(self._over[signature] if entry.state is State.DONE else row(entry))
        return made

    def say(self, text: str) -> None:
        """What is to be said of the whole board until something else is ("": nothing), such as who does not answer."""
        text = printable(text)
        if text and text != self._said and not self._live:
            self.console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, soft_wrap=True)
        self._said = text
        self._draw()

    def _listen(self, silent: Unknown | None) -> None:
        if silent:
            self._silent = self._silent or time.strftime("%H:%M")
            self.say(f"{silent.why} since {self._silent}: nothing is submitted, nothing taken for lost; waiting")
        elif self._silent:
            self._silent = ""
            self.say("" if self._live else "Slurm answers again")

    def _draw(self) -> None:
        if self._live:
            self._live.refresh()

    def show(self, entries: Sequence[Entry], silent: Unknown | None = None) -> None:
        """The cells as they are now. A scheduler that does not answer is said above them, and since when; `silent`:
        that it did not when something was to be submitted.
        """
        self._listen(silent or silence(entries))
        if self._live:
            self._table = self.rows(entries)
            self._draw()
            return
        changed = [e for e in entries if self._states.get(e.cell.signature, e.state) is not e.state]
        for entry in changed:
            self.console.print(
                printable(f"  {entry.cell.title}: {entry.state} {entry.detail}".rstrip()), markup=False, soft_wrap=True
            )
        self._states = {entry.cell.signature: entry.state for entry in entries}
        due = time.monotonic() - self._last_lines >= LINES_EVERY
        if due or changed:
            running = [entry for entry in entries if entry.state is State.RUNNING]
            table = self.rows(entries if due else running)  # a pace takes all cells' journals: not at each change
            said = ", ".join([summary(entries), *(pace(table) if due else [])])
            names = {entry.cell.signature for entry in running}
            lines = [_line(row) for row in table if row.signature in names]
            self.console.print(" | ".join([said, *lines]), markup=False, soft_wrap=True)
            self._last_lines = time.monotonic() if due else self._last_lines


def _line(row: BoardRow) -> str:
    loss = "-" if row.loss is None else f"{row.loss:.3f}"
    left = "-" if row.left is None else duration(row.left)
    iteration = f"{row.iteration or 0}/{row.iterations}"
    said = f"{row.method} {row.split} seed {row.seed}: iteration {iteration}, loss {loss}, left {left}"
    return f"{said}, {row.what}" if row.state in ("stuck", "suspended") else said
