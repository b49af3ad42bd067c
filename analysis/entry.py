"""One entry of a table: the scores of a row's seeds in one column."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from analysis.cells import TableCell

MISSING = "no result"
LAST, BEST = "last", "best"  # which evaluation a number is of


@dataclass(frozen=True)
class SeedScore:
    """What became of one cell: mIoU in percent of one of its networks, or None and the reason, with the command that
    makes it (`fill`); by which `evaluation`; `last_over` and `best_over`: how many classes the data set has, and which
    of them neither masks nor predictions have, so that the mean is not over them (None: not known). `commit`: of the
    code that scored it once more (empty: unknown; None: it was scored in training).
    """

    cell: TableCell
    network: str = ""
    last: float | None = None
    best: float | None = None
    reason: str = ""
    evaluation: str = ""
    commit: str | None = None
    last_over: tuple[int, tuple[str, ...]] | None = None
    best_over: tuple[int, tuple[str, ...]] | None = None
    fill: str = ""

    def value(self, which: str) -> float | None:
        """The score of the last iteration, or of the best evaluation."""
        return self.best if which == BEST else self.last

    def classes_of(self, which: str) -> tuple[int, tuple[str, ...]] | None:
        """Over which classes that score is a mean: see above."""
        return self.best_over if which == BEST else self.last_over


@dataclass
class TableEntry:
    """One entry of the table: the scores of all seeds, those without a result included. `which` of them it is about:
    those of the last iteration, or those of the best evaluation; never both.
    """

    scores: list[SeedScore] = field(default_factory=list)
    which: str = LAST

    @property
    def done(self) -> list[SeedScore]:
        """The scores of the seeds that have one."""
        return [score for score in self.scores if score.value(self.which) is not None]

    @property
    def by_seed(self) -> dict[int, float]:
        """Seed -> its score, of the seeds that have one."""
        found = {score.cell.seed: score.value(self.which) for score in self.scores}
        return {seed: value for seed, value in found.items() if value is not None}

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
        """Mean of the scores of the seeds that have one; None with none."""
        return _mean(self.by_seed.values())

    @property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1) of these scores; None with fewer than two."""
        return _std(self.by_seed.values())

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
        for score in self.without:
            found.setdefault(score.reason, []).append(score.cell.seed)
        return found

    @property
    def without(self) -> list[SeedScore]:
        """The seeds that have none, with their reasons."""
        return [score for score in self.scores if score.value(self.which) is None]


def short(reason: str) -> str:
    """The short form of a reason; what went wrong in detail stands below the table."""
    return reason.partition(":")[0]


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.fmean(numbers) if numbers else None


def _std(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.stdev(numbers) if len(numbers) > 1 else None
