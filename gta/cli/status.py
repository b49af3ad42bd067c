"""`gta status`."""

from __future__ import annotations

import time
from json import dumps
from typing import TYPE_CHECKING

from gta.cli import composing, grammar, options
from gta.cli.grammar import Parsed, Words, option
from gta.errors import UserError

if TYPE_CHECKING:
    from gta.cell import Cell
    from launch.show.rows import BoardRow


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise UserError("give the seconds between two looks, such as --watch=5.")
    return value


@grammar.command(
    "status",
    exit_codes="0, whatever the cells' states; 2 something to mend first",
    examples=["gta status sweep=shapes", "gta status sweep=voc_blender --watch", "gta status sweep=shapes --json"],
)
@grammar.words()
@option(
    "--watch",
    type=Parsed("seconds", _seconds),
    bare="5",
    metavar="[=SECONDS]",
    help="Show it again every 5 seconds (or so many), until Ctrl-C.",
)
@options.as_json
def command(words: Words, watch: float | None, json: bool) -> int:  # fmt: skip
    """Where every cell of a grid stands.

    What waits (with Slurm's reason), runs (iteration, iterations a second, time left, node), is done (mIoU), failed
    (the cause and the error), was cancelled, stopped (saved, it can go on), is lost (its process died without a word)
    or broken (a record in its folder cannot be read); attempts and hours used. It asks Slurm where there is one;
    elsewhere heartbeats tell.

    With --json one object: sweep, time, counts {state: cells}, gpu_hours, core_hours, and cells, each with signature,
    method, split, seed, state, iteration, iterations, loss, rate (iterations/s), left (s), miou (%), node, job,
    attempts, gpu_hours, core_hours, cause, what, log; null where unknown.
    """
    if watch is not None and json:
        raise UserError("--watch and --json: a script asks again by itself; leave one of them out.")
    master, cells = composing.grid(words.overrides)
    if json:
        print(dumps(as_json(str(master.sweep_name), _rows(cells)), indent=1))
        return 0
    if watch is not None:
        return keep_watching(cells, watch)
    from rich.console import Console

    from launch.show.board import advice, table, totals

    board = _rows(cells)
    console = Console(highlight=False)
    console.print(table(board, console.width))
    console.print(f"\n{totals(board)}", markup=False)
    for line in advice(board):
        console.print(f"  {line}", markup=False)
    return 0


def _rows(cells: list[Cell]) -> list[BoardRow]:
    from launch.show.rows import rows

    return rows(composing.look(cells))


def keep_watching(cells: list[Cell], pause: float) -> int:
    """Show the board again and again until Ctrl-C; a Slurm that does not answer for a while is said, and waited for."""
    from launch.show.board import Board

    board = Board()
    try:
        with board:
            while True:
                try:
                    board.show(composing.look(cells))
                except UserError as error:
                    board.console.print(f"{time.strftime('%H:%M:%S')} {error}", markup=False)
                time.sleep(pause)
    except KeyboardInterrupt:
        return 0


def as_json(sweep: str, table: list[BoardRow]) -> dict[str, object]:
    """The board for scripts, as the command's help describes it."""
    from launch.show.rows import counts

    return {
        "sweep": sweep,
        "time": time.time(),
        "counts": counts(table),
        "gpu_hours": sum(row.gpu_hours for row in table),
        "core_hours": sum(row.core_hours for row in table),
        "cells": [row.as_dict() for row in table],
    }
