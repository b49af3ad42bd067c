"""With which batches a cell goes on: those that its seed says, or, where a person asked for that, others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from gta.cellfolder import CellFolder, NewOrder, Orders
from gta.errors import UserError
from gta.train import checkpoint


def begin(folder: CellFolder, saved: Sequence[NewOrder], start: int) -> tuple[list[NewOrder], NewOrder | None]:
    """The orders of a cell that goes on from iteration `start`, and the one that begins now, if one was asked for.

    `saved`: those that the checkpoint was made with. Nothing is written: that is `keep`.
    """
    known = folder.orders()
    if len(known) < len(saved):  # somebody removed the record: the checkpoint remembers
        known = list(saved)
    orders = [replace(order, iteration=start) if order.iteration is None else order for order in known]
    return orders, orders[-1] if orders != known else None


def keep(folder: CellFolder, orders: Sequence[NewOrder]) -> None:
    """Write down from where each order counts: before a step is made with it, so that a cell that later goes on from an
    earlier checkpoint makes the same batches again; and after all else that comes of a new one, since what a kill cuts
    off before is done again. For the process that has the cell.
    """
    if orders != folder.orders():
        Orders(orders=list(orders)).write(folder.order_file)


def forget_best(folder: CellFolder, start: int) -> bool:
    """Remove the best weights where they are of a later iteration than `start`: no score of the new batches is theirs.
    Whether they were.
    """
    try:
        later = int(checkpoint.load(folder.best_file)["iteration"]) > start
    except UserError:  # there are none, or they are broken
        return False
    if later:
        folder.best_file.unlink(missing_ok=True)
    return later


def plain(orders: Sequence[NewOrder]) -> list[dict[str, Any]]:
    """As a checkpoint holds them."""
    return [asdict(order) for order in orders]


def pairs(orders: Sequence[NewOrder]) -> list[tuple[int, int]]:
    """(iteration, number) of each, as `gta.data.loaders` takes them."""
    return [(order.iteration or 0, order.number) for order in orders]
