"""The ledger of a grid, with what schedulers say: one squeue, and one sacct where jobs ended without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from launch.slurm import commands as slurm
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry, ledger, submitted_jobs

if TYPE_CHECKING:
    from gta.cell import Cell


def reconcile(cells: Sequence[Cell], local: Mapping[str, HeldJob] | None = None) -> list[Entry]:
    """The states of cells. `local`: the caller's own jobs on this machine.

    Where cells were sent to Slurm and no Slurm answers here, heartbeats tell. Raises UserError where a controller is
    there and squeue fails: not knowing must not look like "over".
    """
    # first the jobs, then the folders: what a job left behind before it was over is seen
    held: dict[str, HeldJob] | None = dict(local or {})
    if submitted_jobs(cells, "slurm"):
        held = {**slurm.queue(), **(local or {})} if slurm.available() else None
    return ledger(cells, held, slurm.fates)
