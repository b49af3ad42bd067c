"""Which number of which run stands in a place of a table, or why there is none and what makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.cells import Protocol, TableCell
from analysis.entry import BEST, LAST, MISSING, SeedScore
from analysis.view import Facet

Runs = Mapping[tuple[str, str], pd.Series]  # (signature, network; "": the headline) -> run, of those that are over


def runs_of(finished: pd.DataFrame) -> Runs:
    """The rows of runs that are over (`analysis.runs.load`), to be looked up."""
    found = {(str(run["signature"]), str(run["network"])): run for _, run in finished.iterrows()}
    return found | {(signature, ""): run for (signature, _), run in found.items() if run["headline"]}


def rows(cells: Iterable[TableCell], networks: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Row of a cell -> the rows of the table, each with its network, the headline first: those that `networks` has a
    run of; where it has none, the row itself, with "" for the headline, whichever that is.
    """
    by_signature = {cell.signature: cell.row for cell in cells}
    found: dict[str, dict[str, str]] = {cell.row: {} for cell in cells}
    for _, run in networks.sort_values(["headline", "network"], ascending=[False, True]).iterrows():
        row, network = by_signature[str(run["signature"])], str(run["network"])
        found[row][f"{row} ({network})"] = network
    return {row: names or {row: ""} for row, names in found.items()}


def score(cell: TableCell, network: str, facet: Facet, runs: Runs) -> SeedScore:
    """The score of a cell's network ("": the headline) in that column."""
    if (cell.signature, "") not in runs:
        return SeedScore(cell, network, reason=cell.reason or MISSING, fill=cell.fill)
    run = runs.get((cell.signature, network))
    if run is None:
        return SeedScore(cell, network, reason=f"no score of its {network}", fill=cell.fill)
    protocol = cell.protocol(facet.protocol) if facet.protocol else None
    if protocol is not None and protocol.words != run["evaluation"]:
        return _once_more(cell, network, facet, protocol, run)
    best = _float(run["miou_best"])
    if facet.which == BEST and best is None:
        return SeedScore(cell, run["network"], reason="no score of its best evaluation", fill=cell.fill)
    over = {which: _over(run["classes"], run[iou]) for which, iou in ((LAST, "iou"), (BEST, "best_iou"))}
    made = SeedScore(cell, run["network"], float(run["miou_last"]), best, evaluation=str(run["evaluation"]))
    return replace(made, last_over=over[LAST], best_over=over[BEST])


def _once_more(cell: TableCell, network: str, facet: Facet, protocol: Protocol, run: pd.Series) -> SeedScore:
    """The score by another protocol than that of training: of the weights that the run ended with, or its best ones."""
    iteration = run["best_iteration" if facet.which == BEST else "iteration"]
    for one in run["evaluations"] or ():
        if (one["evaluation"], one["which"], one["iteration"]) == (protocol.words, facet.which, iteration):
            values: dict[str, Any] = {facet.which: float(one["miou"])}
            values[f"{facet.which}_over"] = _over(run["classes"], one.get("iou", ()))
            commit = str(one["commit"] or "")
            made = SeedScore(cell, run["network"], evaluation=protocol.words, commit=commit)
            return replace(made, **values)
    if facet.which == BEST and not run["headline"]:
        return SeedScore(cell, run["network"], reason=f"the best weights are kept of the headline, not the {network}")
    which = " with its best weights" if facet.which == BEST else ""
    of = f", its {network}" if network else ""
    options = " --which best" if facet.which == BEST else " --network all" if network else ""
    fill = protocol.command + options if protocol.command else ""
    return SeedScore(cell, run["network"], reason=f"not scored by {protocol.name}{which}{of}", fill=fill)


def _over(classes: Sequence[str], iou: Sequence[float | None]) -> tuple[int, tuple[str, ...]] | None:
    """How many classes there are, and those that no masks and no predictions have; None where that is not known."""
    if not classes or len(classes) != len(iou):
        return None
    return len(classes), tuple(name for name, value in zip(classes, iou, strict=True) if pd.isna(value))


def _float(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
