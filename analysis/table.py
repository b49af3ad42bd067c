"""Runs and the wanted grid -> the results table: rows methods, columns label ratios, mean and std over seeds.

What is in the table is decided here; what it looks like in `analysis.render`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from analysis import absent, aggregate, bootstrap, protocol, published, scored, significance, unlike
from analysis.aggregate import Aggregate
from analysis.bootstrap import OverImages, Uncounted
from analysis.cells import TableCell
from analysis.entry import TableEntry, short
from analysis.published import PlacedRow
from analysis.significance import Comparison
from analysis.view import USUAL, Facet, View
from gta.errors import UserError
from gta.text import did_you_mean


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
    roots: list[str] = field(default_factory=list)  # of each data set whose pictures are in several folders, which
    published: list[PlacedRow] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)
    baseline: str = ""
    comparisons: list[Comparison] = field(default_factory=list)
    aggregates: list[Aggregate] = field(default_factory=list)
    best: bool = True  # whether the best scores are shown, in brackets
    listed: bool = False  # whether each missing cell is named, and not only how many there are
    order: list[str] = field(default_factory=list)  # the rows of its whole sweep, where that is known
    view: View = USUAL  # which of the runs' numbers it shows
    facets: dict[str, Facet] = field(default_factory=dict)  # of each column, which of them
    over_images: list[OverImages] = field(default_factory=list)  # where that was asked for (`count_images`)
    uncounted: list[Uncounted] = field(default_factory=list)  # and is not known

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
        found: dict[str, set[str]] = {}
        for place in ((row, column) for row in self.rows for column in self.columns):
            for score in self.entries.get(place, TableEntry()).without:
                found.setdefault(short(score.reason), set()).add(score.cell.signature)
        return {reason: len(signatures) for reason, signatures in found.items()}

    @property
    def wanted(self) -> int:
        """How many cells the table should have."""
        return len(self.signatures)

    @property
    def absent(self) -> int:
        """How many of these lack a number that it should have."""
        return len({score.cell.signature for entry in self.entries.values() for score in entry.without})

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

    def count_images(self, cells: Path) -> None:
        """Add what a bootstrap over images says of each entry; `cells`: the folder of the cells' folders."""
        self.over_images, self.uncounted = bootstrap.of_table(self.entries, self.facets, cells, self.baseline)

    def refuse_gaps(self, other_roots: bool = False) -> None:
        """Raise UserError for a table that has missing cells, or runs that do not belong together (--strict);
        `other_roots`: pictures in several folders are known to be the same (--other-roots).
        """
        wrong = []
        if self.missing:
            count = len(self.missing)
            shown = "; ".join(self.missing[:3]) + (f"; and {count - 3} more" if count > 3 else "")
            commands = ", ".join(f"`{command}`" for command in self.fill)
            wrong.append(f"cells are missing ({shown})" + (f", which {commands} makes" if commands else ""))
        wrong += [f"its runs have {text}" for text in self.mixed]
        if self.roots and not other_roots:
            wrong.append(
                f"its cells have several data roots ({'; '.join(self.roots)}), whose pictures nobody compared: where "
                "they are copies of the same, accept them with --other-roots"
            )
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
    view: View = USUAL,
) -> Table:
    """The table of the `wanted` cells from the runs in `frame` (as `analysis.runs.load` gives them).

    Rows stand in the order of `wanted`, columns by label count, those of an unknown one last. Only finished runs
    count: a number of a run that still goes on is not the one that it will end with. `baseline` is the row to compare
    the others with (of a method's networks, the headline's, where the method alone is named); `rows_beside` says which
    published rows to show, as `published.choose` takes it; `order` are the rows of the whole sweep (`own.row_order`);
    `view`: which of the runs' numbers are shown. Raises UserError when two different cells fall on one (row, column,
    seed): their mean would be over something else than seeds; and for a baseline or a published method that is not
    there.
    """
    cells = list({cell.signature: cell for cell in wanted}.values())
    _refuse_doubles(cells)
    finished = frame[(frame["status"] == "FINISHED") & frame["miou_last"].notna()]
    finished = finished[finished["signature"].isin([cell.signature for cell in cells])]
    used = finished[finished["headline"]]
    runs = scored.runs_of(finished)
    rows = scored.rows(cells, finished if view.networks else used.iloc[:0])
    entries: dict[tuple[str, str], TableEntry] = {}
    for cell in sorted(cells, key=lambda cell: cell.seed):
        for row, network in rows[cell.row].items():
            for facet in view.facets:
                entry = entries.setdefault((row, cell.column + facet.mark), TableEntry(which=facet.which))
                entry.scores.append(scored.score(cell, network, facet, runs))
    by_labels = sorted(cells, key=lambda cell: cell.labels or math.inf)
    columns = {cell.column + facet.mark: (cell.labels, facet) for cell in by_labels for facet in view.facets}
    notes = protocol.notes(used, cells, best, view)
    names = [row for found in rows.values() for row in found]
    table = Table(title, names, list(columns), entries, notes, [], order=list(order), view=view)
    table.best = best and not view.apart
    table.facets = {column: facet for column, (_, facet) in columns.items()}
    scores = [score for entry in entries.values() for score in entry.done]
    table.mixed = protocol.mixed(used, cells, view, scores)
    table.roots = unlike.roots(used, cells)
    table.mixed += absent.mixed(entries, table.facets)
    table.notes += protocol.scored_by(scores)
    _name_missing(table)
    if baseline:
        if baseline not in names and len(rows.get(baseline, ())):
            baseline = next(iter(rows[baseline]))
        _compare(table, baseline)
    table.notes += absent.notes(entries, table.facets, table.best, table.baseline)
    if rows_beside:
        ours = protocol.of_table(finished if view.networks else used, cells)
        known = published.load_rows(ours.dataset) if ours.dataset else []
        chosen = published.choose(known, ours, rows_beside)
        of_columns = {
            column: replace(
                ours, scored=facet.which, evaluations=frozenset(protocol.evaluations(used, cells, facet.protocol))
            )
            for column, (_, facet) in columns.items()
        }
        counts = {column: labels for column, (labels, _) in columns.items()}
        table.published, table.footnotes = published.beside(chosen, of_columns, counts)
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
    """Fill in `missing` and `fill`: each cell once for each reason, whichever rows and columns it is missing in."""
    for row in table.rows:
        for column in table.columns:
            entry = table.entries.get((row, column), TableEntry())
            some = f" ({entry.n} of {entry.wanted} seeds)" if entry.n else ""
            for reason, seeds in entry.missing.items():
                named = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
                cell = entry.scores[0].cell
                line = f"{cell.row}, {cell.column}, {named}{some}: {reason}"
                table.missing += [line] if line not in table.missing else []
    for entry in table.entries.values():
        for score in entry.without:
            if score.fill:
                heads = table.fill.setdefault(score.fill, [])
                if (head := short(score.reason)) not in heads:
                    heads.append(head)


def _compare(table: Table, baseline: str) -> None:
    """Compare the rows with the baseline, the last iterations and the best evaluations each among themselves."""
    if baseline not in table.rows:
        raise UserError(f"--baseline {baseline}: this table has no such row; {did_you_mean(baseline, table.rows)}")
    table.baseline = baseline

    def scores(row: str, facet: Facet) -> dict[str, dict[int, float]]:
        columns = [column for column in table.columns if table.facets[column] == facet]
        found = {column: table.entries.get((row, column), TableEntry()).by_seed for column in columns}
        return {column: by_seed for column, by_seed in found.items() if by_seed}

    for row in table.rows:
        for facet in table.view.facets:
            if row != baseline:
                table.comparisons += significance.compare(row, scores(row, facet), scores(baseline, facet))
    for facet in table.view.facets:
        table.aggregates += aggregate.aggregates({row: scores(row, facet) for row in table.rows}, baseline)
