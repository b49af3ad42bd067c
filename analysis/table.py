"""Runs and the wanted grid -> the results table: rows methods, columns label ratios, mean and std over seeds.

What is in the table is decided here; what it looks like in `analysis.render`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from gta.errors import UserError

MISSING = "no result"


@dataclass(frozen=True)
class Wanted:
    """One cell that the table should hold: a method (row) on a split (column) with a seed.

    `column` is what is shown, such as "1/16 (662)"; `labels` orders the columns; `reason` says why there is
    no result, where there is none ("never run", "failed: out of memory").
    """

    signature: str
    row: str
    column: str
    labels: int
    seed: int
    reason: str = ""


@dataclass(frozen=True)
class Score:
    """What became of one wanted cell: mIoU in percent of its headline network, or None and the reason."""

    wanted: Wanted
    network: str = ""
    last: float | None = None
    best: float | None = None
    reason: str = ""


@dataclass
class Entry:
    """One entry of the table: the scores of all seeds, those without a result included."""

    scores: list[Score] = field(default_factory=list)

    @property
    def done(self) -> list[Score]:
        return [score for score in self.scores if score.last is not None]

    @property
    def n(self) -> int:
        """Number of seeds that have a result."""
        return len(self.done)

    @property
    def wanted(self) -> int:
        """Number of seeds that should have one."""
        return len(self.scores)

    @property
    def mean(self) -> float | None:
        return _mean([score.last for score in self.done])

    @property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1) of the last scores; None with fewer than two."""
        return _std([score.last for score in self.done])

    @property
    def best_mean(self) -> float | None:
        """Mean of each seed's best score; higher than what is fair: each was picked on the validation set."""
        return _mean([score.best for score in self.done])

    @property
    def best_std(self) -> float | None:
        return _std([score.best for score in self.done])

    @property
    def missing(self) -> dict[str, list[int]]:
        """Why seeds are missing: reason -> seeds."""
        found: dict[str, list[int]] = {}
        for score in self.scores:
            if score.last is None:
                found.setdefault(score.reason, []).append(score.wanted.seed)
        return found


@dataclass
class Table:
    """A built table. `entries` has an Entry for each (row, column) that was wanted; `notes` is the footer,
    `missing` a line for each (row, column) and reason."""

    title: str
    rows: list[str]
    columns: list[str]
    entries: dict[tuple[str, str], Entry]
    notes: list[str]
    missing: list[str]

    @property
    def complete(self) -> bool:
        return not self.missing


def build(frame: pd.DataFrame, wanted: Iterable[Wanted], title: str = "results") -> Table:
    """The table of the `wanted` cells from the runs in `frame` (as `analysis.runs.load` gives them).

    Rows stand in the order of `wanted`, columns by label count. Only finished runs count: a number of a run
    that still goes on is not the one that it will end with. Raises UserError when two different cells fall on
    one (row, column, seed): their mean would be over something else than seeds.
    """
    cells = list({cell.signature: cell for cell in wanted}.values())
    _check(cells)
    finished = frame[frame["headline"] & (frame["status"] == "FINISHED") & frame["miou_last"].notna()]
    by_signature = {str(row["signature"]): row for _, row in finished.iterrows()}
    entries: dict[tuple[str, str], Entry] = {}
    for cell in sorted(cells, key=lambda cell: cell.seed):
        score = Score(cell, reason=cell.reason or MISSING)
        if (run := by_signature.get(cell.signature)) is not None:
            score = Score(cell, run["network"], float(run["miou_last"]), _float(run["miou_best"]))
        entries.setdefault((cell.row, cell.column), Entry()).scores.append(score)
    columns = {cell.column: cell.labels for cell in sorted(cells, key=lambda cell: cell.labels)}
    rows = list(dict.fromkeys(cell.row for cell in cells))
    used = finished[finished["signature"].isin([cell.signature for cell in cells])]
    missing = [
        f"{row}, {column}, {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}: {reason}"
        for row in rows
        for column in columns
        for reason, seeds in entries.get((row, column), Entry()).missing.items()
    ]
    return Table(title, rows, list(columns), entries, _notes(used, cells), missing)


def _check(cells: list[Wanted]) -> None:
    places: set[tuple[str, str, int]] = set()
    for cell in cells:
        place = cell.row, cell.column, cell.seed
        if place in places:
            raise UserError(
                f"two cells of this table are both {cell.row!r}, {cell.column!r}, seed {cell.seed}: "
                "give what differs a label of its own (method.label=...)"
            )
        places.add(place)


def _notes(used: pd.DataFrame, cells: Sequence[Wanted]) -> list[str]:
    """The footer: what a number of this table means. Says so where the runs do not agree."""
    notes = ["mIoU in percent: mean ± sample standard deviation over (n) seeds, last iteration"]
    notes.append("In brackets the mean of each seed's best evaluation, picked on the validation set")
    if used.empty:
        return [f"{note}." for note in notes]
    column = {cell.signature: cell.column for cell in cells}
    networks: dict[str, list[str]] = {}
    lists: dict[str, list[str]] = {}
    for _, run in used.sort_values(["labels", "seed"]).iterrows():
        name = f"{run['split_family']} {column[run['signature']]}"
        _add(lists, name, run["digest_labeled"][:8])
    network_of = dict(zip(used["signature"], used["network"], strict=True))
    for cell in cells:
        if cell.signature in network_of:
            _add(networks, network_of[cell.signature], cell.row)
    notes.append(f"Data: {_several(used['dataset'])}; val list {_several(used['digest_val'].str[:8], 'lists')}")
    notes.append("Labeled lists: " + ", ".join(f"{n} {_several(d, 'lists')}" for n, d in lists.items()))
    notes.append(f"Evaluation: {_several(used['evaluation'], 'evaluations')}")
    parts = [f"{network} ({', '.join(rows)})" for network, rows in networks.items()]
    notes.append("Network: " + ", ".join(parts if len(parts) > 1 else networks))
    notes.append("Seeds: " + ", ".join(str(seed) for seed in sorted({cell.seed for cell in cells})))
    commits = [commit[:9] for commit in used["commit"] if commit]
    if commits:
        notes.append(f"Code: {_several(commits, 'commits')}")
    return [f"{note}." for note in notes]


def _several(values: Iterable[str], mixed: str = "") -> str:
    """The distinct values; where `mixed` is given and there are several, said so: they should be one."""
    names = list(dict.fromkeys(str(value) for value in values))
    text = ", ".join(names)
    return f"{text} (MIXED {mixed})" if mixed and len(names) > 1 else text


def _add(groups: dict[str, list[str]], key: str, value: str) -> None:
    if value not in groups.setdefault(key, []):
        groups[key].append(value)


def _float(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.fmean(numbers) if numbers else None


def _std(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.stdev(numbers) if len(numbers) > 1 else None
