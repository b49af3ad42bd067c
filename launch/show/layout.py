"""The board as lines of text: one line a cell, at any width. Numbers are never cut; names and reasons are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from launch.show.rows import BoardRow
from launch.show.words import STYLES, brief, cut, duration, hours

GAP = 2  # blanks between columns
REASON = 28  # characters that reasons need to be readable
NARROW = 18  # the same in a window of less than WIDE characters
WIDE = 100
LONG_NAME = 24  # a name that is longer is cut before any column goes


@dataclass(frozen=True)
class Column:
    """`goes`: how soon it is left out where there is no room (the highest first; 0: never); `least`: characters to
    which it may be cut (0: never).
    """

    name: str
    text: Callable[[BoardRow], str]
    goes: int = 0
    least: int = 0
    right: bool = False


@dataclass(frozen=True)
class Layout:
    """The lines of the cells below a head; `room`: characters that each reason has there."""

    lines: list[Text]
    room: int = 0

    def tells(self, row: BoardRow) -> bool:
        """Whether the reason of a cell that is shown is there to be read, whole."""
        return cell_len(brief(row)) <= self.room


def _progress(row: BoardRow) -> str:
    """How far a cell is, or what came of it."""
    if row.miou is not None:
        return f"mIoU {row.miou:.2f}"
    if row.iteration is None:
        return f"0/{row.iterations}" if row.state == "running" else ""
    return f"{row.iteration}/{row.iterations}"


def _rate(row: BoardRow) -> str:
    return "" if row.rate is None else f"{row.rate:.3g}" if row.rate < 100 else f"{row.rate:.0f}"


def _loss(row: BoardRow) -> str:
    return "" if row.loss is None or row.state != "running" else f"{row.loss:.3f}"


def _cost(row: BoardRow) -> str:
    return hours(row.gpu_hours or row.core_hours) if row.attempts else ""


COLUMNS = (
    Column("cell", lambda row: row.signature[:8], goes=1),
    Column("method", lambda row: row.method, least=12),
    Column("split", lambda row: row.split, least=10),
    Column("seed", lambda row: str(row.seed), right=True),
    Column("state", lambda row: row.state),
    Column("progress", _progress, right=True),
    Column("it/s", _rate, goes=6, right=True),
    Column("loss", _loss, goes=9, right=True),
    Column("left", lambda row: "" if row.left is None else duration(row.left), goes=2, right=True),
    Column("node", lambda row: row.node or "", goes=4),
    Column("job", lambda row: row.job or "" if row.state != "done" else "", goes=8),
    Column("tries", lambda row: str(row.attempts or ""), goes=5, right=True),
    Column("cost", _cost, goes=7, right=True),
)


def layout(shown: Sequence[BoardRow], width: int) -> Layout:
    """The head and a line for each cell, none longer than `width`; columns without a word are left out."""
    texts = {column.name: [column.text(row) for row in shown] for column in COLUMNS}
    heads = {column.name: _head(column.name, shown) for column in COLUMNS}
    wide = {name: max(map(cell_len, [heads[name], *all_])) for name, all_ in texts.items() if any(all_)}
    reasons = [brief(row) for row in shown]
    longest = max(map(cell_len, reasons), default=0)
    wide, room = _fitted(wide, longest, width)
    columns = [column for column in COLUMNS if column.name in wide]
    parts = [_padded(heads[column.name], wide[column.name], column.right) for column in columns]
    lines = [Text("  ".join([*parts, *(["why"] if room else [])]).rstrip(), style="bold", no_wrap=True)]
    for i, row in enumerate(shown):
        line = Text(no_wrap=True, overflow="crop")
        for column in columns:
            text = _padded(texts[column.name][i], wide[column.name], column.right)
            line.append(text, style=STYLES[row.state] if column.name == "state" else "").append(" " * GAP)
        line.append(cut(reasons[i], room))
        line.rstrip()
        lines.append(line)
    return Layout(lines, room)


def _fitted(wide: dict[str, int], longest: int, width: int) -> tuple[dict[str, int], int]:
    """The columns that fit, with their widths, and the characters that are left for reasons (0: no such column).

    Long names are cut first; then columns go, one by one; then names are cut further, and reasons go at the last.
    """
    wide = dict(wide)
    wanted = min(longest, REASON if width >= WIDE else NARROW)

    def over(reason: int) -> int:
        return sum(wide.values()) + GAP * (len(wide) - 1) + (GAP + reason if reason else 0) - width

    _cut_names(wide, over(wanted), {column.name: max(column.least, LONG_NAME) for column in COLUMNS if column.least})
    for column in sorted(COLUMNS, key=lambda column: -column.goes):
        if column.goes > 2 and over(wanted) > 0:
            wide.pop(column.name, None)
    _cut_names(wide, over(wanted), {column.name: column.least for column in COLUMNS if column.least})
    if over(wanted) > 0:
        wanted = 0  # said below the board
    for column in sorted(COLUMNS, key=lambda column: -column.goes):
        if column.goes and over(wanted) > 0:
            wide.pop(column.name, None)
    return wide, min(longest, wanted - over(wanted)) if wanted else 0


def _cut_names(wide: dict[str, int], over: int, least: dict[str, int]) -> None:
    """Make names narrower, the widest first, as far as there is too much."""
    while over > 0:
        names = [name for name in least if wide.get(name, 0) > least[name]]
        if not names:
            return
        wide[max(names, key=lambda name: wide[name])] -= 1
        over -= 1


def _head(name: str, shown: Sequence[BoardRow]) -> str:
    if name != "cost":
        return name
    return "GPU-h" if any(row.gpu_hours for row in shown) else "core-h"


def _padded(text: str, width: int, right: bool) -> str:
    """The text in so many cells of a terminal; of one that is too long, both ends, which tell names apart."""
    size = cell_len(text)
    if size > width:
        tail = (width - 1) // 2
        return set_cell_size(text, width - 1 - tail) + "…" + text[len(text) - tail :]
    return " " * (width - size) + text if right else text + " " * (width - size)
