"""The cells that the table of a grid should hold, and the commands that make those which are missing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gta.masking import masked

if TYPE_CHECKING:
    from analysis.cells import TableCell
    from launch.state.ledger import Entry


def wanted(entries: Sequence[Entry], overrides: Sequence[str], axes: Sequence[str] = ()) -> list[TableCell]:
    """What the table should hold, with the ledger's reasons and the commands that make what is missing; `axes`: what
    the sweep's file varies.
    """
    from analysis.cells import TableCell
    from gta import recipe
    from gta.data.splits.known import known_name
    from launch.grid.axes import alike

    retry = _retry(entries)
    return [
        TableCell(
            signature=entry.cell.signature,
            row=entry.cell.row,
            column=entry.cell.column,
            labels=entry.cell.sizes.labeled,
            seed=entry.cell.config.seed,
            reason=entry.reason,
            fill=_fill(entry, overrides, retry),
            dataset=entry.cell.config.data.name,
            encoder=entry.cell.config.model.encoder,
            lists=known_name(entry.cell.digests.get("labeled", "")) or "",
            val_list=known_name(entry.cell.digests.get("val", "")) or "",
            training=recipe.parts(entry.cell.config),
            alike=alike(entry.cell, axes),
            paper=entry.cell.paper_row,
        )
        for entry in entries
    ]


def _retry(entries: Sequence[Entry]) -> str:
    """The --retry of the one multirun that makes all cells which are not being made: none, failed, cancelled or all."""
    from launch.state.ledger import RETRY, to_run

    stopped = [entry for entry in entries if any(to_run(entry, retry) for retry in RETRY)]
    return next((retry for retry in RETRY if all(to_run(entry, retry) for entry in stopped)), "all")


def _fill(entry: Entry, overrides: Sequence[str], retry: str) -> str:
    """The command that makes a missing cell; for one that runs or waits already, the command that shows it."""
    from launch.state.ledger import State, to_run

    if entry.state is State.DONE:
        return "gta sync"  # its number is in its folder, and not in MLflow
    if entry.state is State.DAMAGED:
        return shlex.join(["gta", "show", entry.cell.signature, *map(masked, overrides)])
    if not to_run(entry, retry):
        return shlex.join(["gta", "status", *map(masked, overrides)])
    words = ["multirun", *overrides] + ([] if retry == "none" else ["--retry", retry])
    return shlex.join(["gta", *map(masked, words)])
