"""usage: python -m gta logs CELL [-f] [--rank N] [--attempt N] [sweep=NAME ...] [paths.runs=runs]

Prints the log of a cell's last attempt: of the rank that failed, else of rank 0. CELL is its signature or the beginning
of it, or words such as gta/92/seed0; with sweep=NAME only the cells of that grid are meant.

-f, --follow   goes on as the log grows, over requeues and later attempts, until the cell is over (or Ctrl-C)
--rank N       the log of another rank
--attempt N    the log of an earlier attempt
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gta.cli import options as common
from gta.errors import UserError

if TYPE_CHECKING:
    from launch.show.logs import Log


def run(arguments: list[str]) -> int:
    known = {"follow": False, "rank": "", "attempt": ""}
    given, rest = common.flags(arguments, known, {"f": "follow"})
    names, words = common.names_and_words(rest)
    if len(names) != 1:
        raise UserError("logs takes one cell: its signature, the beginning of it, or words such as gta/92/seed0.")
    numbers = {name: _number(name, given[name]) for name in ("rank", "attempt")}
    from launch.grid.names import find
    from launch.show import logs

    cell = find(names[0], common.named_cells(words))
    log = logs.find(cell.folder, numbers["attempt"])
    if numbers["rank"] is not None:
        log = log.of_rank(numbers["rank"])
    _head(str(cell), log)
    if not given["follow"]:
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


def _number(name: str, text: str) -> int | None:
    if text and not text.isdigit():
        raise UserError(f"--{name}={text}: give a whole number.")
    return int(text) if text else None


def _head(cell: str, log: Log) -> None:
    """Which file it is, on stderr, so that stdout is the log alone."""
    others = [rank for rank in log.ranks() if rank != log.rank]
    more = f"; also ranks {', '.join(map(str, others))} (--rank)" if others else ""
    attempt = f"attempt {log.attempt}" if log.attempt else "submitted, not begun"
    print(f"{cell}, {attempt}, rank {log.rank}{more}: {log.path}", file=sys.stderr)


def _held(job: str) -> bool:
    from launch.slurm import commands as slurm

    return not slurm.available() or job in slurm.live([job])
