"""`gta status`."""

from __future__ import annotations

import sys
import time
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cli import composing, grammar, options, overview
from gta.cli.grammar import Parsed, Words, option
from gta.errors import UserError
from gta.masking import styled

if TYPE_CHECKING:
    from gta.cell import Cell
    from gta.sweep import Sweep
    from launch.show.filters import Filter
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
    examples=[
        "gta status",
        "gta status sweep=shapes",
        "gta status sweep=voc_blender --watch",
        "gta status sweep=voc_blender --state failed,lost --method 'gta*'",
        "gta status sweep=shapes --json",
    ],
)
@grammar.words()
@option(
    "--watch",
    type=Parsed("seconds", _seconds),
    bare="5",
    metavar="[=SECONDS]",
    help="Show it again every 5 seconds (or so many), until Ctrl-C.",
)
@options.filters
@option("--all", "every", is_flag=True, help="A line for every cell, also of a grid of more than 100.")
@options.as_json
def command(
    words: Words, watch: float | None, states: tuple[str, ...], methods: tuple[str, ...], every: bool, json: bool
) -> int:  # fmt: skip
    """Where every cell of a grid stands; without a grid, how far each sweep is.

    What waits (with Slurm's reason), is held (by somebody, or it asks for what no node has: Slurm will not start it),
    starts, runs (iteration, iterations a second, time left, node), is ending (its attempt is over, and Slurm has not
    let go of the job yet), is done (mIoU), failed (the cause and the error), was cancelled, stopped (saved, it can go
    on), is lost (its process died without a word) or damaged (a record in its folder cannot be read: show names it);
    attempts and hours used. It asks Slurm where there is one; elsewhere heartbeats tell. Where Slurm does not answer
    that is said, and states are those of the cells' folders: what waited waits, and of what had begun and beats no more
    they are unknown.

    When Slurm expects to start the next cell that waits is its own estimate, as of squeue --start: it is often wrong,
    moves as others' jobs end early or come first, and is unknown where Slurm does not say.

    A line a cell at any width; what has no room there is said below. --state and --method pick cells.

    With --json one object: sweep, variant (what differs from it as declared), time, counts {state: cells}, gpu_hours,
    core_hours, silence (why Slurm cannot be asked), and cells, each with signature, method, split, seed, state,
    iteration, iterations, loss, rate (iterations/s), left (s), trained (s), miou (%), expected (Slurm's
    own estimate of its start, unix seconds), in_slurm (whether its job waits there), node, job, attempts, gpu_hours,
    core_hours, cause, what, log, data_wait (percent of a running cell's time); null where unknown. Without a grid:
    sweeps, each with sweep, file, cells, done, states {state: cells}, trouble.
    """
    if watch is not None and json:
        raise UserError("--watch and --json: a script asks again by itself; leave one of them out.")
    if overview.asked(words.overrides):
        options_of_grids = {"--watch": watch is not None, "--state": states, "--method": methods, "--all": every}
        return overview.show(
            words.overrides, "status", json, [name for name, given in options_of_grids.items() if given]
        )
    master, cells = composing.recorded_grid(words.overrides)
    from launch.grid.grid import sweep_of
    from launch.grid.names import of_grid
    from launch.grid.recorded import told
    from launch.show.filters import Filter
    from launch.show.rows import rows
    from launch.state.ledger import silence
    from launch.submit import costmodel

    only = Filter(states, methods)
    if watch is not None:
        only.of_names(of_grid(cells))  # refuses a method that no cell has
        return keep_watching(cells, watch, only)
    entries = only.of(composing.look(cells))
    found, silent = rows(entries), silence(entries)
    if json:
        print(dumps({**as_json(sweep_of(master), found), "silence": silent and silent.why}, indent=1))
        return 0
    show(found, every)
    print_variant(sweep_of(master))
    if without := told(entry.cell for entry in entries):
        print(f"  {without}")
    if silent:
        print(f"  {silent.why}; state as of the cells' folders")
    for line in costmodel.said(entries):
        print(f"  {line}")
    return 0


def show(board: list[BoardRow], every: bool = False, last: str = "") -> None:
    """Print the board, then what it says all in all (or what is said in its place), reasons and advice."""
    from rich.console import Console

    from launch.show.board import MOST, page
    from launch.show.pace import pace
    from launch.show.words import advice, expected, totals

    console = Console(file=styled(sys.stdout), highlight=False)
    lines, reasons = page(board, console.width, MOST if console.is_terminal and not every else None)
    for line in lines:
        console.print(line)
    standing = last or "; ".join([totals(board), *pace(board)])
    if start := expected(board):
        reasons = [start, *reasons]
    for text in ["", standing, *(f"  {line}" for line in [*reasons, *advice(board)])]:
        console.print(text, markup=False, soft_wrap=True)


def print_variant(sweep: Sweep) -> None:
    """Say of a grid that is not the sweep's own that it is none."""
    if sweep.variant:
        print(f"  a variant of the sweep {sweep.name}: {sweep.variant}")


def keep_watching(cells: list[Cell], pause: float, only: Filter) -> int:
    """Show the board again and again until Ctrl-C; a Slurm that does not answer for a while is said, and waited for."""
    from launch.show.board import Board
    from launch.slurm.patience import PatientLook

    board, look = Board(), PatientLook(Path(cells[0].config.paths.runs))
    try:
        with board:
            while True:
                board.show(only.of(look(cells)))
                time.sleep(pause)
    except KeyboardInterrupt:
        return 0


def as_json(sweep: Sweep, table: list[BoardRow]) -> dict[str, object]:
    """The board for scripts, as the command's help describes it."""
    from launch.show.rows import counts

    return {
        "sweep": sweep.name,
        "variant": sweep.variant,
        "time": time.time(),
        "counts": counts(table),
        "gpu_hours": sum(row.gpu_hours for row in table),
        "core_hours": sum(row.core_hours for row in table),
        "cells": [row.as_dict() for row in table],
    }
