"""Is a method better than the baseline, or is it the seeds? Paired by seed: every seed is trained with both.

For each (row, column): the mean difference d of the paired scores, its confidence interval by Student's t, the exact
sign-flip permutation test (under the null hypothesis a difference is as likely d as -d), p-values of a row corrected by
Holm over its columns, and the effect size.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

CONFIDENCE = 0.95
MINIMUM = 3  # paired seeds below which nothing can be said
_FLIPS = 2**16  # sign flips of a permutation test: all there are for 16 seeds, a random choice for more
_BATCH = 2**12  # of them at once in memory


@dataclass(frozen=True)
class Comparison:
    """One row against the baseline in one column. Differences in points of mIoU; positive: the row is better.

    Below three paired seeds only `seeds` and `difference` are set. `effect` is Cohen's d of paired samples, the mean
    difference over its standard deviation; None where all differences are equal. `p_holm` is corrected over the
    columns of the row in which there is a p.
    """

    row: str
    column: str
    seeds: tuple[int, ...]
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    effect: float | None = None


def compare(
    row: str, scores: Mapping[str, Mapping[int, float]], baseline: Mapping[str, Mapping[int, float]]
) -> list[Comparison]:
    """The row's columns against the baseline's; `scores` and `baseline` are column -> seed -> mIoU in percent."""
    found = []
    for column, of_seed in scores.items():
        seeds = tuple(sorted(set(of_seed) & set(baseline.get(column, {}))))
        found.append(_paired(row, column, seeds, [of_seed[s] - baseline[column][s] for s in seeds]))
    tested = [c for c in found if c.p is not None]
    corrected = dict(zip([c.column for c in tested], holm([c.p for c in tested if c.p is not None]), strict=True))
    return [replace(c, p_holm=corrected.get(c.column)) for c in found]


def _paired(row: str, column: str, seeds: tuple[int, ...], differences: list[float]) -> Comparison:
    if not differences:
        return Comparison(row, column, seeds)
    mean = statistics.fmean(differences)
    if len(differences) < MINIMUM:
        return Comparison(row, column, seeds, mean)
    low, high = interval(differences)
    spread = statistics.stdev(differences)
    effect = mean / spread if spread > 1e-9 else None
    return Comparison(row, column, seeds, mean, low, high, permutation_p(differences), None, effect)


def interval(differences: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The confidence interval of the mean by Student's t; needs two differences or more."""
    from scipy import stats  # half a second, and only a table with a baseline needs it

    n = len(differences)
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(n)
    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * error
    return mean - half, mean + half


def permutation_p(differences: Sequence[float]) -> float:
    """Two-sided p of the sign-flip test: the share of all 2^n signs whose sum is at least as far from 0.

    All of them are counted for up to 16 differences; for more, 2^16 of them that are drawn with a fixed seed.
    """
    from scipy import stats

    total = math.fsum(map(abs, differences)) or 1.0

    def share(values: np.ndarray, axis: int) -> np.ndarray:
        # What is equal on paper must count as equal, however the sum was rounded.
        return np.round(np.sum(values, axis=axis) / total, 9)

    found = stats.permutation_test(
        (differences,), share, permutation_type="samples", vectorized=True, n_resamples=_FLIPS, batch=_BATCH, rng=0
    )
    return float(found.pvalue)


def smallest_p(seeds: int) -> float:
    """The smallest p that the permutation test can give with so many seeds: all differences of one sign."""
    return 2.0 ** (1 - seeds)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that hold for the whole family, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def notes(comparisons: Sequence[Comparison], baseline: str, at: str = "last iteration") -> list[str]:
    """What the numbers mean, `at` which evaluation they are, and what the seeds at hand cannot say."""
    tested = [c for c in comparisons if c.p is not None]
    few = [c for c in comparisons if c.p is None]
    text = []
    if tested:
        text.append(
            f"Difference to {baseline} in points of mIoU, paired by seed, {at}; {CONFIDENCE:.0%} confidence "
            "interval by Student's t; p of the exact sign-flip permutation test, two-sided; p (Holm) is corrected "
            "over the columns of the row; d is the mean difference over its standard deviation"
        )
        for n in sorted({len(c.seeds) for c in tested}):
            if 2**n > _FLIPS:
                text.append(f"With {n} seeds p is estimated from {_FLIPS} of the sign flips, drawn at random")
                continue
            reach = "so that no p can be below 0.05" if smallest_p(n) >= 0.05 else "before Holm's correction"
            text.append(f"With {n} seeds the smallest p that this test can give is {smallest_p(n):.2g}, {reach}")
    if few:
        counts = sorted({len(c.seeds) for c in few})
        have = " or ".join(str(n) for n in counts)
        what = "about the other differences" if tested else "about whether a difference is more than chance"
        seeds = "seed" if counts == [1] else "seeds"
        text.append(f"Nothing can be said {what}: {have} paired {seeds}, and {MINIMUM} are the least")
    return [f"{line}." for line in text]
