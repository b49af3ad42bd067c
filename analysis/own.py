"""A sweep's own run in MLflow, the parent of its cells' runs: its rows, its cells, and which variants there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.runs import unread
from gta.errors import UserError
from gta.tracking import answers, keys, store


@dataclass(frozen=True)
class SweepRun:
    """What a sweep's own run says: the `rows` of its table in the sweep's order, the signatures of its cells, each
    with its row and column (`grid`; `keys.NOWHERE` where the store is of an older version), and, of a variant, what
    differs from the sweep as declared. Empty where it does not say.
    """

    tag: str
    rows: tuple[str, ...] = ()
    grid: Mapping[str, keys.Place] = field(default_factory=dict)
    variant: str = ""


def sweep_run(uri: str, tag: str) -> SweepRun:
    """A sweep's, or a variant's, own run by its tag; one that says nothing where there is none. Raises UserError as
    `load` does.
    """
    return next(iter(_sweep_runs(uri, f"= '{tag}'")), SweepRun(tag))


def variants(uri: str, sweep: str) -> list[SweepRun]:
    """The own runs of a sweep's variants, by their tags. Raises UserError as `load` does."""
    return sorted(_sweep_runs(uri, f"LIKE '{sweep}/%'"), key=lambda run: run.tag)


def row_order(uri: str, sweep: str) -> list[str]:
    """The rows of a sweep's table in the sweep's order, as its own run has them; empty where that is not known.

    The one order of rows and of colours, for who has no grid at hand. Raises UserError as `load` does.
    """
    return list(sweep_run(uri, sweep).rows)


def _sweep_runs(uri: str, condition: str) -> list[SweepRun]:
    uri = store.normal(uri)
    if not store.exists(uri):
        return []
    try:
        found = answers.sweep_runs(uri, condition)
    except UserError:
        raise
    except Exception as error:
        raise unread(uri, error) from None
    return [
        SweepRun(
            run.data.tags[keys.SWEEP_RUN],
            tuple(keys.rows_of(run)),
            keys.grid_of(run),
            run.data.tags.get(keys.VARIANT, ""),
        )
        for run in found
    ]
