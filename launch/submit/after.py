"""Cells that come after others: their jobs wait for the others' by Slurm's dependency."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import BrokenRecord
from gta.errors import UserError
from launch.grid.names import Named, find_all, known, of_grid
from launch.slurm import commands as slurm
from launch.slurm.reasons import stuck
from launch.slurm.reconcile import where, word
from launch.state.jobs import HeldJob, Queue, Silent, Unknown

if TYPE_CHECKING:
    from gta.cell import Cell


After = Callable[[Collection[str]], str]  # signatures of cells -> what Slurm is told that their jobs wait for


def after(names: Sequence[str], cells: Sequence[Cell]) -> After:
    """What cells of a grid wait for: those that have these names now, in the grid or anywhere below its runs
    (`dependency`). Raises UserError for a name of no cell.
    """
    if not names:
        return lambda mine: ""
    everyone = {cell.signature: cell for cell in [*known(Path(cells[0].config.paths.runs)), *of_grid(cells)]}
    before = find_all(names, list(everyone.values()))
    return lambda mine: dependency(before, mine)


def dependency(cells: Sequence[Named], mine: Collection[str]) -> str:
    """Slurm's words for "once these cells are done", such as `afterok:57_0:58`; empty where all are. `mine`:
    signatures of those that are to wait.

    Raises UserError where a cell is neither done nor on its way in Slurm: what waits for that one would never run.
    Raises Silent where Slurm does not answer.
    """
    before = [cell for cell in cells if not cell.folder.done]
    held = slurm.queue() if before else {}
    if isinstance(held, Unknown):
        raise Silent(held)
    jobs = [_job(cell, held, mine) for cell in before]
    return ":".join(["afterok", *dict.fromkeys(jobs)]) if jobs else ""


def _job(cell: Named, held: Queue, mine: Collection[str]) -> str:
    """The job in which a cell will be done, as far as anybody can tell. Raises UserError."""
    if cell.signature in mine:
        raise UserError(f"--after {cell}: it would wait for itself. Run it first, or leave it out (--cells, --method).")
    never = f"--after {cell}: what comes after it would never run"
    try:
        sent, verdict = cell.folder.submitted(), cell.folder.verdict()
    except BrokenRecord as error:
        raise UserError(f"{never}: {error}") from None
    if sent is None or sent.cluster != "slurm":
        raise UserError(f"{never}, as it is neither done nor sent to Slurm: run it first.")
    said = word(sent, held, where([sent]))
    if isinstance(said, Unknown):
        raise UserError(f"--after {cell}: nobody knows what became of its job ({said.why}); try again later.")
    if verdict is not None or not isinstance(said, HeldJob):
        raise UserError(f"{never}, as it is not done and its job {sent.job} is over or fails: run it first.")
    if stuck(said):
        raise UserError(f"{never}, as its job {sent.job} is held ({said.reason}): see `gta status`.")
    return said.job
