"""How fast a grid goes: iterations a second, and how long it takes still, by the cells that run and by those done."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from launch.show.rows import BoardRow
from launch.show.words import duration

AT_WORK = ("running", "starting")  # cells that have a place to run
OVER = ("done", "failed", "damaged", "held", "cancelled")  # cells that no one waits for


def throughput(table: Sequence[BoardRow]) -> float:
    """Iterations a second of all cells that run, together."""
    return sum(row.rate or 0.0 for row in table if row.state == "running")


def left(table: Sequence[BoardRow]) -> float | None:
    """Seconds until all is done that will be; None where nothing runs, or no cell of the grid tells a speed.

    Cells that wait take over when others end: what is left is shared by as many as run now. What a cell takes is by
    its own speed where it runs, else by those of its method that are done (or run, where none is), else by the grid's.
    """
    places = sum(row.state in AT_WORK for row in table)
    known = [seconds for row in table if (seconds := _step(row))]
    if not places or not known:
        return None
    usual = _usual(table)
    usual_of_all = statistics.median(known)
    needed = [
        row.left if row.left is not None else _rest(row) * usual.get(row.method, usual_of_all)
        for row in table
        if row.state not in OVER
    ]
    return max(max(needed), sum(needed) / places)


def _usual(table: Sequence[BoardRow]) -> dict[str, float]:
    """Method -> seconds an iteration of its cells: of those that are done, or else of those that run."""
    done: dict[str, list[float]] = {}
    running: dict[str, list[float]] = {}
    for row in table:
        if seconds := _step(row):
            (done if row.state == "done" else running).setdefault(row.method, []).append(seconds)
    return {method: statistics.median(steps) for method, steps in {**running, **done}.items()}


def _step(row: BoardRow) -> float | None:
    """Seconds an iteration of one cell, evaluations included, where it tells."""
    if row.state == "done":
        return row.trained / row.iterations if row.trained and row.iterations else None
    return 1 / row.rate if row.rate and row.state == "running" else None


def _rest(row: BoardRow) -> int:
    return row.iterations - min(row.iteration or 0, row.iterations)


def pace(table: Sequence[BoardRow]) -> list[str]:
    """What is said of it: "12.5 it/s", "about 3 h 20 min left"."""
    rate, rest = throughput(table), left(table)
    said = [f"{rate:.3g} it/s"] if 0 < rate < 100 else [f"{rate:,.0f} it/s"] if rate else []
    return [*said, *([f"about {duration(rest)} left"] if rest is not None else [])]
