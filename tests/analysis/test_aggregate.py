"""One number over a table's columns: rliable's definitions, against slower code written from its paper."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from scipy import stats

from analysis import aggregate
from analysis.aggregate import Aggregate, aggregates


def drawn(rows, seeds, columns):
    draw = random.Random(rows * seeds)
    return {
        f"row {row}": {f"c{c}": {seed: draw.gauss(60 + row, 3) for seed in range(seeds)} for c in range(columns)}
        for row in range(rows)
    }


def matrix(scores):
    seeds = sorted(next(iter(scores.values())))
    return np.array([[of_seed[seed] for of_seed in scores.values()] for seed in seeds])


def slow_improvement(x, y):
    """Mann and Whitney's U over N K, mean over the columns: equation of section 4.3 of the paper."""
    shares = [
        stats.mannwhitneyu(x[:, c], y[:, c], alternative="greater").statistic / (len(x) * len(y))
        for c in range(x.shape[1])
    ]
    return float(np.mean(shares))


@pytest.mark.parametrize(("seeds", "columns"), [(3, 2), (5, 4), (10, 3)])
def test_the_numbers_are_those_of_a_slower_implementation(seeds, columns):
    scores = drawn(3, seeds, columns)
    base, *others = aggregates(scores, "row 0")
    assert base.better is None
    for one in (base, *others):
        mine = matrix(scores[one.row])
        assert one.iqm is not None
        assert one.iqm.value == pytest.approx(float(stats.trim_mean(mine, 0.25, axis=None)), abs=1e-9)
        assert one.iqm.low <= one.iqm.value <= one.iqm.high
        if one is not base:
            assert one.better is not None
            assert one.better.value == pytest.approx(slow_improvement(mine, matrix(scores["row 0"])), abs=1e-12)
            assert 0 <= one.better.low <= one.better.value <= one.better.high <= 1


def test_by_hand():
    """Eight scores, two left out at either end; 8 of 9 pairs in one column, and a tie."""
    eight = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 80.0]])
    assert aggregate.interquartile_mean(eight) == 4.5
    x, y = np.array([[1.0], [2.0], [3.0]]), np.array([[0.0], [0.5], [1.0]])
    assert aggregate.probability_of_improvement(x, y) == pytest.approx(8.5 / 9)
    assert aggregate.probability_of_improvement(x, x) == 0.5


def test_the_interval_is_that_of_all_resamples_within_columns():
    """Of three seeds and two columns there are 27 x 27 resamples: what is drawn of them has their percentiles."""
    scores = np.array([[60.0, 71.0], [62.5, 70.0], [65.0, 75.0]])
    ways = list(itertools.product(range(3), repeat=3))
    found = sorted(float(stats.trim_mean([*scores[list(a), 0], *scores[list(b), 1]], 0.25)) for a in ways for b in ways)
    mine = aggregate.interval(aggregate.interquartile_mean, scores)
    for value, low, high in ((mine.low, 0.018, 0.033), (mine.high, 0.967, 0.982)):
        assert np.quantile(found, low) <= value <= np.quantile(found, high)
    assert mine == aggregate.interval(aggregate.interquartile_mean, scores), "the same table each time"


def test_columns_and_seeds_that_are_shared_count_and_too_few_are_said():
    scores = drawn(2, 4, 3)
    del scores["row 1"]["c2"], scores["row 1"]["c0"][3]
    base, other = aggregates(scores, "row 0")
    assert (base.columns, base.seeds) == (("c0", "c1"), (0, 1, 2, 3))
    assert (other.columns, other.seeds) == (("c0", "c1"), (0, 1, 2)), "those of every column"
    (single, _) = aggregates(drawn(2, 1, 2), "row 0")
    assert single == Aggregate("row 0", ("c0", "c1"), (0,))
    (said,) = aggregate.notes(aggregates(drawn(2, 1, 2), "row 0"), "row 0")
    assert said == (
        "Over 2 columns (c0, c1) nothing can be said of rows that have fewer than 3 seeds in all of them: "
        "row 0 1, row 1 1."
    )
    assert aggregate.notes(aggregates(drawn(2, 3, 1), "row 0"), "row 0") == [], "there is nothing to aggregate over"
    assert aggregates({"row 0": {}, "row 1": scores["row 1"]}, "row 0") == []


def test_the_footer_says_which_seeds_count_and_how_many_where_rows_differ():
    scores = drawn(2, 5, 2)
    (said, _) = aggregate.notes(aggregates(scores, "row 0"), "row 0")
    assert "over 2 columns (c0, c1) and the seeds that a row has in all of them, in percent" in said
    assert "row 1 6" in said, "no count where all have as many"
    del scores["row 1"]["c1"][0], scores["row 1"]["c1"][1]
    (said, _) = aggregate.notes(aggregates(scores, "row 0"), "row 0")
    assert "row 0 (5 seeds) " in said
    assert "row 1 (3 seeds) " in said


def test_resamples_of_large_matrices_are_drawn_in_small_parts():
    sizes = []

    def statistic(one, other):
        sizes.append(1 if one.ndim == 2 else len(one))
        return one.mean(axis=(-2, -1)) - other.mean(axis=(-2, -1))

    large = np.zeros((50, 20))
    aggregate.interval(statistic, large, large)
    assert max(sizes) * 50 * 50 * 20 <= 5_000_000
    assert sum(sizes) == aggregate.RESAMPLES + 1
