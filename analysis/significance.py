"""Is a method better than the baseline, or is it the seeds? Paired by seed: every seed is trained with both.

For each (row, column): the mean difference d of the paired scores, its confidence interval by Student's t, the exact
sign-flip permutation test (under the null hypothesis a difference is as likely d as -d), p-values of a row corrected by
Holm over its columns, and the effect size. Nothing here needs scipy; the tests compare with it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

CONFIDENCE = 0.95
MINIMUM = 3  # paired seeds below which nothing can be said
_MOST = 40  # paired seeds whose 2^n sign flips are still counted exactly


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

    @property
    def smallest_p(self) -> float:
        """The smallest p that the permutation test can give with these seeds: all differences of one sign."""
        return 2.0 ** (1 - len(self.seeds))


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
    n = len(differences)
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(n)
    half = t_quantile(0.5 + confidence / 2, n - 1) * error
    return mean - half, mean + half


def permutation_p(differences: Sequence[float]) -> float:
    """Two-sided p of the exact sign-flip test: the share of all 2^n signs whose sum is at least as far from 0.

    Counted from the sums of two halves, so that 40 differences are no more than two million sums.
    """
    n = len(differences)
    assert 0 < n <= _MOST, n
    values = np.asarray(differences, dtype=np.float64)
    first, second = _signed_sums(values[: n // 2]), np.sort(_signed_sums(values[n // 2 :]))
    # What is equal on paper must count as equal, however the sum was rounded.
    bound = abs(float(values.sum())) - 1e-9 * float(np.abs(values).sum())
    if bound <= 0:
        return 1.0
    above = len(second) - np.searchsorted(second, bound - first, side="left")
    below = np.searchsorted(second, -bound - first, side="right")
    return min(1.0, float(above.sum() + below.sum()) / 2.0**n)


def _signed_sums(values: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums - value, sums + value])
    return sums


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that hold for the whole family, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t with `freedom` degrees of freedom, for 0.5 <= probability < 1."""
    assert 0.5 <= probability < 1
    assert freedom > 0
    low, high = 0.0, 1.0
    while _t_cdf(high, freedom) < probability:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _t_cdf(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def _t_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0: the finite sums for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    within = (angle + sine * total) * 2 / math.pi if odd else sine * total
    return 0.5 + within / 2


def notes(comparisons: Sequence[Comparison], baseline: str) -> list[str]:
    """What the numbers mean, and what the seeds at hand cannot say."""
    tested = [c for c in comparisons if c.p is not None]
    few = [c for c in comparisons if c.p is None]
    text = []
    if tested:
        text.append(
            f"Difference to {baseline} in points of mIoU, paired by seed, last iteration; {CONFIDENCE:.0%} confidence "
            "interval by Student's t; p of the exact sign-flip permutation test, two-sided; p (Holm) is corrected "
            "over the columns of the row; d is the mean difference over its standard deviation"
        )
        for n in sorted({len(c.seeds) for c in tested}):
            smallest = 2.0 ** (1 - n)
            reach = "so that no p can be below 0.05" if smallest >= 0.05 else "before Holm's correction"
            text.append(f"With {n} seeds the smallest p that this test can give is {smallest:.2g}, {reach}")
    if few:
        counts = sorted({len(c.seeds) for c in few})
        have = " or ".join(str(n) for n in counts)
        what = "about the other differences" if tested else "about whether a difference is more than chance"
        seeds = "seed" if counts == [1] else "seeds"
        text.append(f"Nothing can be said {what}: {have} paired {seeds}, and {MINIMUM} are the least")
    return [f"{line}." for line in text]
