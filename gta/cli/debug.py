"""`gta debug`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from gta.cli import composing, grammar
from gta.cli.grammar import Words, option
from gta.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gta.cell import Cell


@grammar.command(
    "debug",
    exit_codes="0 done, 1 failed, interrupted, or run by another process, 2 something to mend first",
    examples=[
        "gta debug gta/92/seed0 sweep=voc_classic site=slurm",
        "gta debug 1a2b3c --pdb",
        "gta debug gta/1/50/seed0 sweep=shapes --here",
    ],
)
@grammar.words("CELL", 1)
@option("--here", is_flag=True, help="On this machine, also where Slurm answers.")
@option("--pdb", is_flag=True, help="Where it fails, Python's debugger at that very place.")
def command(words: Words, here: bool, pdb: bool) -> int:
    """Run one cell in the foreground, to look into it.

    Where Slurm answers, as a job of srun with what the site asks for, in this terminal; otherwise (or with --here, or
    inside a job) in this process. breakpoint() in the code opens Python's debugger, --pdb does where the cell fails;
    data are loaded in the process that trains, so that it can stop there, too.

    It is an attempt like any other: it claims the cell and goes on from its last checkpoint. Ctrl-C saves and leaves;
    multirun goes on from there. A cell that is done, runs or waits is left alone. With settings (sweep=NAME, ...) a
    cell of that grid is meant, also one that never ran.
    """
    from launch.slurm import commands as slurm

    local = any(word == f"{composing.LAUNCHER}local" for word in words.overrides)
    on_slurm = not (here or local or "SLURM_JOB_ID" in os.environ) and slurm.available()
    master, cell = _cell(words, on_slurm)
    _check(cell)
    site = replace(cell.config.site, workers=0)
    replace(cell, config=replace(cell.config, site=site)).write()
    ranks = site.ranks * site.nodes
    where = f"by srun, {ranks} rank{'s' * (ranks > 1)}" if on_slurm else "in this process"
    print(f"{cell.title}: {cell.folder.path}, {where}; Ctrl-C saves and leaves", flush=True)
    if on_slurm:
        return _srun(master, cell, pdb)
    from launch.job.foreground import run_here

    return run_here(cell.folder, pdb)


def _cell(words: Words, on_slurm: bool) -> tuple[DictConfig, Cell]:
    """The composed config, for its launcher, and the cell that is named: of the grid, or one that was frozen."""
    from launch.grid import grid, names

    said = any(word.startswith(composing.LAUNCHER) for word in words.overrides)
    launcher = [f"{composing.LAUNCHER}slurm"] if on_slurm and not said else []
    if not composing.no_grid(words.overrides):
        master, cells = composing.grid([*words.overrides, *launcher])
        signature = names.find(words.names[0], names.of_grid(cells)).signature
        return master, next(cell for cell in cells if cell.signature == signature)
    from gta.cell import Cell
    from gta.compose.compose import read_config

    folder = names.find(words.names[0], composing.named_cells(words.overrides)).folder
    master = grid.master_config(composing.start(), launcher)
    return master, Cell.load(folder, read_config(folder.config_file))


def _check(cell: Cell) -> None:
    """Raises UserError for a cell that is done, or that somebody else is at."""
    from launch.state.ledger import BUSY, State

    (entry,) = composing.look([cell])
    if entry.state in (State.DONE, State.DAMAGED):
        raise UserError(f"{cell.title} is {entry.state}: {entry.detail}.")
    if entry.state in BUSY:
        raise UserError(
            f"{cell.title} is {entry.state} ({entry.detail}): `gta cancel {cell.signature[:8]}` ends that first."
        )


def _srun(master: DictConfig, cell: Cell, pdb: bool) -> int:
    """As a job of Slurm, with the code as it is here."""
    from launch.job.owncode import own_code_first
    from launch.slurm.interactive import in_foreground, srun_command
    from launch.submit.executor import one_job
    from launch.submit.launcher import slurm_params

    site = cell.config.site
    if site.container:
        raise UserError(
            f"site.container={site.container}: debug starts no container; say site.container=null to debug with what "
            "is installed here, or --here inside one."
        )
    params = slurm_params(master, site)
    command = [sys.executable, "-P", "-u", "-m", "launch.job.foreground", str(cell.folder.path), str(time.time())]
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    words = srun_command(
        one_job(params), params["setup"], [*command, *(["--pdb"] if pdb else [])], site.ranks * site.nodes, terminal
    )
    return 1 if in_foreground(words, own_code_first()) else 0
