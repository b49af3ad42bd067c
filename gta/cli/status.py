"""usage: python -m gta status sweep=NAME [name=value ...] [--watch[=SECONDS]] [--json]

Where every cell of a grid stands: what waits (with Slurm's reason), runs (iteration, iterations a second, time left,
node), is done (mIoU), failed (the cause and the error), was cancelled, stopped (saved, it can go on) or lost (its
process died without a word); attempts and hours used. It asks Slurm where there is one; elsewhere heartbeats tell.

--watch  shows it again every 5 seconds, until Ctrl-C
--json   one object: sweep, time, counts {state: cells}, gpu_hours, core_hours, and cells, each with signature, method,
         split, seed, state, iteration, iterations, loss, rate (iterations/s), left (s), miou (%), node, job, attempts,
         gpu_hours, core_hours, cause, what, log; null where unknown

exit code: 0, whatever the cells' states; 2 something to mend first
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from gta.cli import options as common
from gta.errors import UserError

if TYPE_CHECKING:
    from gta.cell import Cell
    from launch.show.rows import BoardRow


def run(arguments: list[str]) -> int:
    given, overrides = common.flags(arguments, {"watch": ("", "5"), "json": False})
    pause = _seconds(given["watch"]) if given["watch"] else None
    if pause is not None and given["json"]:
        raise UserError("--watch and --json: a script asks again by itself; leave one of them out.")
    master, cells = common.grid(overrides)
    if given["json"]:
        print(json.dumps(as_json(str(master.sweep_name), _rows(cells)), indent=1))
        return 0
    if pause is not None:
        return watch(cells, pause)
    from rich.console import Console

    from launch.show.board import advice, table, totals

    found = _rows(cells)
    console = Console(highlight=False)
    console.print(table(found, console.width))
    console.print(f"\n{totals(found)}", markup=False)
    for line in advice(found):
        console.print(f"  {line}", markup=False)
    return 0


def _rows(cells: list[Cell]) -> list[BoardRow]:
    from launch.show.rows import rows

    return rows(common.look(cells))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise UserError(f"--watch={text}: give the seconds between two looks, such as --watch=5.")
    return value


def watch(cells: list[Cell], pause: float) -> int:
    """Show the board again and again until Ctrl-C; a Slurm that does not answer for a while is said, and waited for."""
    from launch.show.board import Board

    board = Board()
    try:
        with board:
            while True:
                try:
                    board.show(common.look(cells))
                except UserError as error:
                    board.console.print(f"{time.strftime('%H:%M:%S')} {error}", markup=False)
                time.sleep(pause)
    except KeyboardInterrupt:
        return 0


def as_json(sweep: str, table: list[BoardRow]) -> dict[str, object]:
    """The board for scripts, as the usage describes it."""
    from launch.show.rows import counts

    return {
        "sweep": sweep,
        "time": time.time(),
        "counts": counts(table),
        "gpu_hours": sum(row.gpu_hours for row in table),
        "core_hours": sum(row.core_hours for row in table),
        "cells": [row.as_dict() for row in table],
    }
