"""`gta logs`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words, option
from gta.errors import UserError
from gta.masking import styled
from gta.text import printable

if TYPE_CHECKING:
    from launch.grid.names import Named
    from launch.show.logs import Log


MANY = 10  # lines of each log, where there are several


@grammar.command(
    "logs",
    instead=["states", "methods"],
    examples=[
        "gta logs gta/92/seed0 -f",
        "gta logs 1a2b3c --attempt 1 --rank 2",
        "gta logs gta/92/seed0 sweep=voc_classic",
        "gta logs sweep=voc_classic --state failed",
    ],
)
@grammar.words("CELL", 1)
@option(
    "-f",
    "--follow",
    is_flag=True,
    help="Go on as the log grows, over requeues and later attempts, until the cell is over (or Ctrl-C).",
)
@option("--rank", type=click.IntRange(0), metavar="N", help="The log of another rank.")
@option("--attempt", type=click.IntRange(0), metavar="N", help="The log of an earlier attempt.")
@option("-n", "--lines", type=click.IntRange(1), metavar="N", help="Only the last lines, so many.")
@options.filters
def command(
    words: Words, follow: bool, rank: int | None, attempt: int | None, lines: int | None, states: tuple[str, ...],
    methods: tuple[str, ...],
) -> int:  # fmt: skip
    """The log of a cell; -f follows it.

    Of the last attempt: that of the rank that failed, else of rank 0. With sweep=NAME only the cells of that grid are
    meant. In place of a name, --state and --method pick cells; of several, the last lines of each are shown.
    """
    from launch.grid.names import find
    from launch.show import logs
    from launch.show.filters import Filter

    if only := Filter(states, methods):
        found = composing.chosen(words, only)
        if len(found) != 1:
            if follow or rank is not None or attempt is not None:
                raise UserError(f"{len(found)} cells are meant: -f, --rank and --attempt take one; name it.")
            return _ends(found, lines or MANY)
        cell = found[0]
    else:
        cell = find(words.names[0], composing.named_cells(words.overrides))
    log = logs.find(cell.folder, attempt)
    if rank is not None:
        log = log.of_rank(rank)
    _head(str(cell), log)
    if not follow:
        if not log.path.exists():
            raise UserError(
                f"{log.path} is not there: the job has not begun, or the file was removed; -f waits for it."
            )
        with open(log.path, encoding="utf-8", errors="replace") as file:
            for line in file if lines is None else deque(file, lines):
                _write(line)
        return 0
    for text in logs.follow(cell.folder, log, _held):
        _write(text)
        sys.stdout.flush()
    return 0


def _write(text: str) -> None:
    """A part of a log, with its colours: many programs print some, and they move nothing."""
    styled(sys.stdout).write(printable(text, colours=True))


def _ends(cells: Sequence[Named], lines: int) -> int:
    """The last lines of the logs of cells, a cell after the other; one without a log says so."""
    from launch.show import logs

    for cell in cells:
        print(f"==> {cell}")
        try:
            log = logs.find(cell.folder)
            with open(log.path, encoding="utf-8", errors="replace") as file:
                for line in deque(file, lines):
                    _write(line)
        except (UserError, OSError) as error:
            print(error)
        print()
    return 0


def _head(cell: str, log: Log) -> None:
    """Which file it is, on stderr, so that stdout is the log alone."""
    others = [rank for rank in log.ranks() if rank != log.rank]
    more = f"; also ranks {', '.join(map(str, others))} (--rank)" if others else ""
    attempt = f"attempt {log.attempt}" if log.attempt else "submitted, not begun"
    print(f"{cell}, {attempt}, rank {log.rank}{more}: {log.path}", file=sys.stderr)


def _held(job: str) -> bool:
    """Whether a job may write on: also where nobody knows."""
    from launch.slurm import commands as slurm
    from launch.state.jobs import Unknown

    live = slurm.live([job])
    return isinstance(live, Unknown) or job in live
