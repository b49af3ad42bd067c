"""`gta logs`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gta.cli import composing, grammar
from gta.cli.grammar import Words, option
from gta.errors import UserError

if TYPE_CHECKING:
    from launch.show.logs import Log


@grammar.command(
    "logs",
    examples=[
        "gta logs gta/92/seed0 -f",
        "gta logs 1a2b3c --attempt 1 --rank 2",
        "gta logs gta/92/seed0 sweep=voc_classic",
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
def command(words: Words, follow: bool, rank: int | None, attempt: int | None) -> int:  # fmt: skip
    """The log of a cell; -f follows it.

    Of the last attempt: that of the rank that failed, else of rank 0. With sweep=NAME only the cells of that grid are
    meant.
    """
    from launch.grid.names import find
    from launch.show import logs

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
        with open(log.path, errors="replace") as file:
            for line in file:
                sys.stdout.write(line)
        return 0
    for text in logs.follow(cell.folder, log, _held):
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0


def _head(cell: str, log: Log) -> None:
    """Which file it is, on stderr, so that stdout is the log alone."""
    others = [rank for rank in log.ranks() if rank != log.rank]
    more = f"; also ranks {', '.join(map(str, others))} (--rank)" if others else ""
    attempt = f"attempt {log.attempt}" if log.attempt else "submitted, not begun"
    print(f"{cell}, {attempt}, rank {log.rank}{more}: {log.path}", file=sys.stderr)


def _held(job: str) -> bool:
    from launch.slurm import commands as slurm

    return not slurm.available() or job in slurm.live([job])
