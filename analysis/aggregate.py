"""One number for a row over all columns of a table, and how sure it is, as rliable defines it.

Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice*, NeurIPS 2021 (arXiv 2108.13264):
the interquartile mean of the scores of all columns, by a row's seeds in them; the probability of improvement,
that a seed of the row scores above one of the baseline, mean over the columns; the percentiles of a bootstrap that
draws seeds anew within each column (the strata).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.significance import CONFIDENCE, MINIMUM

RESAMPLES = 10_000
_BATCH = 1000  # of them at once in memory, fewer of large matrices:
_NUMBERS = 5_000_000  # that a statistic makes of a batch, each seed of one matrix beside each of the other
_TRIMMED = 0.25  # of the scores at either end
Scores = Mapping[str, Mapping[int, float]]  # column -> seed -> mIoU in percent
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number and its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Aggregate:
    """A row over `columns`, by the seeds that it has in all of them. `iqm`: mIoU in percent; `better`: the probability
    of improvement over the baseline, 0.5 where neither is better; None for the baseline itself. Both are None where
    the row, or for `better` the baseline, has fewer than three such seeds.
    """

    row: str
    columns: tuple[str, ...]
    seeds: tuple[int, ...]
    iqm: Estimate | None = None
    better: Estimate | None = None


def aggregates(scores: Mapping[str, Scores], baseline: str) -> list[Aggregate]:
    """Of each row that has scores, over the columns in which all of these have some, against the baseline."""
    rows = {row: found for row, found in scores.items() if found}
    if baseline not in rows:
        return []
    columns = [column for column in rows[baseline] if all(column in found for found in rows.values())]
    if not columns:
        return []
    made = {row: _matrix(found, columns) for row, found in rows.items()}
    _, base = made[baseline]
    result = []
    for row, (seeds, matrix) in made.items():
        enough = len(seeds) >= MINIMUM
        iqm = interval(interquartile_mean, matrix) if enough else None
        compared = row != baseline and enough and len(base) >= MINIMUM
        better = interval(probability_of_improvement, matrix, base) if compared else None
        result.append(Aggregate(row, tuple(columns), seeds, iqm, better))
    return result


def interquartile_mean(scores: Matrix) -> Matrix:
    """Of (..., seeds, columns): the mean of what is left without a quarter of the scores at either end, over all of
    them.
    """
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = int(_TRIMMED * flat.shape[-1])
    found: Matrix = flat[..., cut : flat.shape[-1] - cut].mean(axis=-1)
    return found


def probability_of_improvement(scores: Matrix, baseline: Matrix) -> Matrix:
    """Of (..., seeds, columns) each: the share of the pairs of a seed of one and a seed of the other in which the
    first is higher, an equal one half; mean over the columns.
    """
    difference = scores[..., :, None, :] - baseline[..., None, :, :]
    found: Matrix = ((difference > 0) + 0.5 * (difference == 0)).mean(axis=(-3, -2)).mean(axis=-1)
    return found


def interval(statistic: Callable[..., Matrix], *matrices: Matrix) -> Estimate:
    """A `statistic` of matrices (seeds, columns), and the percentiles of it over resamples: the seeds of each column of
    each matrix are drawn anew, with replacement. The same for the same scores.
    """
    random = np.random.default_rng(0)
    drawn = []
    batch = max(1, min(_BATCH, _NUMBERS // (math.prod(map(len, matrices)) * matrices[0].shape[1])))
    for start in range(0, RESAMPLES, batch):
        count = min(batch, RESAMPLES - start)
        places = [random.integers(len(matrix), size=(count, *matrix.shape)) for matrix in matrices]
        again = (np.take_along_axis(one[None], place, axis=1) for one, place in zip(matrices, places, strict=True))
        drawn.append(statistic(*again))
    rest = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.concatenate(drawn), [rest, 100 - rest])
    return Estimate(float(statistic(*matrices)), float(low), float(high))


def notes(found: Sequence[Aggregate], baseline: str) -> list[str]:
    """What is to be said of a table's rows over its columns, in sentences; none where there are no two columns."""
    if not found or len(found[0].columns) < 2:
        return []
    where = f"{len(found[0].columns)} columns ({', '.join(found[0].columns)})"
    few = [f"{one.row} {len(one.seeds)}" for one in found if one.iqm is None]
    differ = len({len(one.seeds) for one in found if one.iqm}) > 1
    text = []
    if told := [f"{_named(one, differ)} {_words(one.iqm)}" for one in found if one.iqm]:
        text.append(
            f"Interquartile mean over {where} and the seeds that a row has in all of them, in percent, with the "
            f"{CONFIDENCE:.0%} interval of a bootstrap stratified by column: {', '.join(told)}"
        )
    if told := [f"{one.row} {_words(one.better)}" for one in found if one.better]:
        text.append(
            f"Probability of improvement, that a seed of the row scores above one of {baseline}, mean over these "
            f"columns: {', '.join(told)}"
        )
    if few:
        text.append(
            f"Over {where} nothing can be said of rows that have fewer than {MINIMUM} seeds in all of them: "
            f"{', '.join(few)}"
        )
    return [f"{line}." for line in text]


def _matrix(scores: Scores, columns: Sequence[str]) -> tuple[tuple[int, ...], Matrix]:
    """The seeds that all columns have, and their scores: (seeds, columns)."""
    seeds = tuple(sorted(set.intersection(*(set(scores[column]) for column in columns))))
    values = [[scores[column][seed] for column in columns] for seed in seeds]
    return seeds, np.array(values, dtype=np.float64).reshape(len(seeds), len(columns))


def _named(one: Aggregate, count: bool) -> str:
    return f"{one.row} ({len(one.seeds)} seeds)" if count else one.row


def _words(one: Estimate) -> str:
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
