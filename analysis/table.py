"""Runs and the wanted grid -> the results table: rows methods, columns label ratios, mean and std over seeds.

What is in the table is decided here; what it looks like in `analysis.render`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from analysis import aggregate, protocol, published, significance
from analysis.aggregate import Aggregate
from analysis.cells import TableCell
from analysis.published import PlacedRow
from analysis.significance import Comparison
from gta.errors import UserError
from gta.text import did_you_mean

MISSING = "no result"


@dataclass(frozen=True)
class SeedScore:
    """What became of one cell: mIoU in percent of its headline network, or None and the reason."""

    cell: TableCell
    network: str = ""
    last: float | None = None
    best: float | None = None
    reason: str = ""


@dataclass
class TableEntry:
    """One entry of the table: the scores of all seeds, those without a result included."""

    scores: list[SeedScore] = field(default_factory=list)

    @property
    def done(self) -> list[SeedScore]:
        """The scores of the seeds that have one."""
        return [score for score in self.scores if score.last is not None]

    @property
    def by_seed(self) -> dict[int, float]:
        """Seed -> its last score, of the seeds that have one."""
        return {score.cell.seed: score.last for score in self.scores if score.last is not None}

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
        """Mean of the last scores of the seeds that have one; None with none."""
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
                found.setdefault(score.reason, []).append(score.cell.seed)
        return found


@dataclass
class Table:
    """A built table. `entries` has a TableEntry for each (row, column) that was wanted; `notes` is the footer,
    `missing` a line for each (row, column) and reason, `fill` the commands that make what is missing -> for which
    reasons; `mixed` names in what the runs do not agree. `comparisons` are those with the `baseline`,
    `aggregates` the rows over all columns."""

    title: str
    rows: list[str]
    columns: list[str]
    entries: dict[tuple[str, str], TableEntry]
    notes: list[str]
    missing: list[str]
    fill: dict[str, list[str]] = field(default_factory=dict)
    mixed: list[str] = field(default_factory=list)
    published: list[PlacedRow] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)
    baseline: str = ""
    comparisons: list[Comparison] = field(default_factory=list)
    aggregates: list[Aggregate] = field(default_factory=list)
    best: bool = True  # whether the best scores are shown, in brackets
    listed: bool = False  # whether each missing cell is named, and not only how many there are
    order: list[str] = field(default_factory=list)  # the rows of its whole sweep, where that is known

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def signatures(self) -> set[str]:
        """Of all cells that were wanted."""
        return {score.cell.signature for entry in self.entries.values() for score in entry.scores}

    @property
    def gaps(self) -> dict[str, int]:
        """Why cells are missing -> how many, in the order of the rows: "failed", "never run"."""
        found: dict[str, int] = {}
        for place in ((row, column) for row in self.rows for column in self.columns):
            for reason, seeds in self.entries.get(place, TableEntry()).missing.items():
                found[short(reason)] = found.get(short(reason), 0) + len(seeds)
        return found

    @property
    def wanted(self) -> int:
        """How many cells the table should have."""
        return sum(entry.wanted for entry in self.entries.values())

    @property
    def label_counts(self) -> dict[str, int]:
        """Column -> how many labeled images it has; 0 where nobody knows."""
        counts = dict.fromkeys(self.columns, 0)
        for (_, column), entry in self.entries.items():
            counts[column] = max([counts[column], *(score.cell.labels for score in entry.scores)])
        return counts

    @property
    def counted(self) -> bool:
        """Whether columns can be told apart, and placed, by their label counts."""
        counts = list(self.label_counts.values())
        return all(counts) and len(set(counts)) == len(counts)

    @property
    def coloured(self) -> list[str]:
        """The rows by whose places a method has its colour: of the whole sweep, so that a part of it changes none."""
        return list(dict.fromkeys([*self.order, *self.rows]))

    def ranks(self, column: str, decimals: int = 2) -> dict[str, int]:
        """Row -> 1 (best) or 2 (second) by what is shown, with that many decimals; equal ones share a rank.

        Only entries with a result of every seed are ranked: a lucky seed must not beat a mean.
        """
        means = {
            row: round(entry.mean, decimals)
            for row in self.rows
            if (entry := self.entries.get((row, column))) and entry.mean is not None and entry.n == entry.wanted
        }
        if len(means) < 2:
            return {}
        ranks = {row: 1 + sum(other > mean for other in means.values()) for row, mean in means.items()}
        return {row: rank for row, rank in ranks.items() if rank <= 2}

    def comparison(self, row: str, column: str) -> Comparison | None:
        """The row against the baseline in that column; None where they were not compared."""
        return next((c for c in self.comparisons if (c.row, c.column) == (row, column)), None)

    def refuse_gaps(self) -> None:
        """Raise UserError for a table that has missing cells, or runs that do not belong together (--strict)."""
        wrong = []
        if self.missing:
            count = len(self.missing)
            shown = "; ".join(self.missing[:3]) + (f"; and {count - 3} more" if count > 3 else "")
            commands = ", ".join(f"`{command}`" for command in self.fill)
            wrong.append(f"cells are missing ({shown})" + (f", which {commands} makes" if commands else ""))
        wrong += [f"its runs have {text}" for text in self.mixed]
        if wrong:
            raise UserError(f"--strict refuses the table {self.title}: {'; '.join(wrong)}.")


def build(
    frame: pd.DataFrame,
    wanted: Iterable[TableCell],
    title: str = "results",
    *,
    baseline: str = "",
    best: bool = True,
    rows_beside: str = "false",
    order: Iterable[str] = (),
) -> Table:
    """The table of the `wanted` cells from the runs in `frame` (as `analysis.runs.load` gives them).

    Rows stand in the order of `wanted`, columns by label count, those of an unknown one last. Only finished runs
    count: a number of a run that still goes on is not the one that it will end with. `baseline` is the row to compare
    the others with; `rows_beside` says which published rows to show, as `published.choose` takes it; `order` are the
    rows of the whole sweep (`own.row_order`). Raises UserError when two
    different cells fall on one (row, column, seed): their mean would be over something else than seeds; and for
    a baseline or a published method that is not there.
    """
    cells = list({cell.signature: cell for cell in wanted}.values())
    _refuse_doubles(cells)
    finished = frame[frame["headline"] & (frame["status"] == "FINISHED") & frame["miou_last"].notna()]
    by_signature = {str(row["signature"]): row for _, row in finished.iterrows()}
    entries: dict[tuple[str, str], TableEntry] = {}
    for cell in sorted(cells, key=lambda cell: cell.seed):
        score = SeedScore(cell, reason=cell.reason or MISSING)
        if (run := by_signature.get(cell.signature)) is not None:
            score = SeedScore(cell, run["network"], float(run["miou_last"]), _float(run["miou_best"]))
        entries.setdefault((cell.row, cell.column), TableEntry()).scores.append(score)
    columns = {cell.column: cell.labels for cell in sorted(cells, key=lambda cell: cell.labels or math.inf)}
    rows = list(dict.fromkeys(cell.row for cell in cells))
    used = finished[finished["signature"].isin([cell.signature for cell in cells])]
    notes = protocol.notes(used, cells, best)
    table = Table(title, rows, list(columns), entries, notes, [], best=best, order=list(order))
    table.mixed = protocol.mixed(used, cells)
    _name_missing(table)
    if baseline:
        _compare(table, baseline)
    if rows_beside:
        ours = protocol.of_table(used, cells)
        known = published.load_rows(ours.dataset) if ours.dataset else []
        chosen = published.choose(known, ours, rows_beside)
        table.published, table.footnotes = published.beside(chosen, ours, columns)
    return table


def _refuse_doubles(cells: list[TableCell]) -> None:
    places: set[tuple[str, str, int]] = set()
    for cell in cells:
        place = cell.row, cell.column, cell.seed
        if place in places:
            raise UserError(
                f"two cells of this table are both {cell.row!r}, {cell.column!r}, seed {cell.seed}: "
                "give what differs a label of its own (method.label=...)"
            )
        places.add(place)


def _name_missing(table: Table) -> None:
    """Fill in `missing` and `fill`."""
    for row in table.rows:
        for column in table.columns:
            entry = table.entries.get((row, column), TableEntry())
            some = f" ({entry.n} of {entry.wanted} seeds)" if entry.n else ""
            for reason, seeds in entry.missing.items():
                named = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
                table.missing.append(f"{row}, {column}, {named}{some}: {reason}")
    for entry in table.entries.values():
        for score in entry.scores:
            if score.last is None and score.cell.fill:
                heads = table.fill.setdefault(score.cell.fill, [])
                if (head := short(score.reason)) not in heads:
                    heads.append(head)


def _compare(table: Table, baseline: str) -> None:
    if baseline not in table.rows:
        raise UserError(f"--baseline {baseline}: this table has no such row; {did_you_mean(baseline, table.rows)}")

    def scores(row: str) -> dict[str, dict[int, float]]:
        found = {column: table.entries.get((row, column), TableEntry()).by_seed for column in table.columns}
        return {column: by_seed for column, by_seed in found.items() if by_seed}

    table.baseline = baseline
    for row in table.rows:
        if row != baseline:
            table.comparisons += significance.compare(row, scores(row), scores(baseline))
    table.aggregates = aggregate.aggregates({row: scores(row) for row in table.rows}, baseline)


def short(reason: str) -> str:
    """The short form of a reason; what went wrong in detail stands below the table."""
    return reason.partition(":")[0]


def _float(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.fmean(numbers) if numbers else None


def _std(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.stdev(numbers) if len(numbers) > 1 else None
