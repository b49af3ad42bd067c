"""What is said about a difference: checked against scipy and by hand, and silence where the seeds are too few."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from scipy import stats

from analysis import significance
from analysis.significance import compare, holm, interval, notes, permutation_p, smallest_p

RANDOM = random.Random(5)
SAMPLES = [[RANDOM.gauss(mean, 1) for _ in range(n)] for n in (3, 4, 5, 8, 10) for mean in (0.0, 0.7, -2.0)]
TIES = [
    [0.1, 0.2, -0.3, 0.4, -0.4],
    [1.0, 1.0, 1.0],
    [0.3, -0.3, 0.1],
    [0.1, 0.2, 0.3, 0.4],
    [0.0, 0.0, 1.0],
    [0.0, 0.0, 0.0, 0.0],
]


@pytest.mark.parametrize("values", SAMPLES)
def test_the_interval_is_scipys(values):
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval(values) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("values", [*SAMPLES, *TIES])
def test_the_permutation_test_is_exact(values):
    flips = [sum(s * v for s, v in zip(f, values, strict=True)) for f in itertools.product((1, -1), repeat=len(values))]
    assert permutation_p(values) == np.mean(np.abs(flips) >= abs(sum(values)) - 1e-9)


def test_many_seeds_are_counted_exactly_and_more_of_them_estimated():
    assert permutation_p([1.0] * 16) == smallest_p(16) == 2.0**-15
    mixed = [1.0] * 25 + [-1.0] * 15
    exact = 2 * stats.binom.sf(24, 40, 0.5)
    assert permutation_p(mixed) == permutation_p(mixed) == pytest.approx(exact, abs=0.005)
    many = compare("gta", {"a": dict.fromkeys(range(17), 1.0)}, {"a": dict.fromkeys(range(17), 0.0)})
    assert "With 17 seeds p is estimated from 65536 of the sign flips" in " ".join(notes(many, "supervised"))


def test_holm_is_the_step_down_correction():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    # by its definition: the k-th smallest of m is rejected at its adjusted value, and never before a smaller one
    values = [0.2, 0.001, 0.049, 0.012]
    for level in (0.004, 0.01, 0.036, 0.05, 0.1, 0.2):
        rejected, order = set(), sorted(range(4), key=lambda i: values[i])
        for rank, index in enumerate(order):
            if values[index] > level / (4 - rank):
                break
            rejected.add(index)
        assert {i for i, p in enumerate(holm(values)) if p <= level} == rejected


def test_scores_are_paired_by_seed_and_corrected_over_the_columns():
    baseline = {"a": {0: 50.0, 1: 60.0, 2: 70.0, 3: 0.0}, "b": {0: 1.0, 1: 2.0, 2: 4.0}, "c": {0: 1.0, 1: 1.0}}
    scores = {
        "a": {2: 71.0, 0: 52.0, 1: 63.0},
        "b": {0: 0.0, 1: 2.5, 2: 4.5},
        "c": {0: 2.0, 1: 4.0, 5: 9.0},
        "d": {0: 1.0},
    }
    a, b, c, d = compare("gta", scores, baseline)
    assert (a.seeds, a.difference, a.p) == ((0, 1, 2), 2.0, 0.25)
    assert a.effect == pytest.approx(2.0)
    assert a.low == pytest.approx(2 - stats.t.ppf(0.975, 2) / 3**0.5)
    assert b.difference == 0.0
    assert b.p == 1.0
    assert (a.p_holm, b.p_holm) == (0.5, 1.0), "over the two columns that have a p"
    assert (c.seeds, c.difference, c.p, c.low, c.effect) == ((0, 1), 2.0, None, None, None)
    assert (d.seeds, d.difference, d.p) == ((), None, None)


def test_equal_differences_have_no_effect_size():
    (one,) = compare("gta", {"a": {0: 2.0, 1: 3.0, 2: 4.0}}, {"a": {0: 1.0, 1: 2.0, 2: 3.0}})
    assert (one.effect, one.low, one.high) == (None, 1.0, 1.0)


def test_few_seeds_are_said_to_say_nothing():
    two = compare("gta", {"a": {0: 2.0, 1: 3.0}}, {"a": {0: 1.0, 1: 1.0}})
    (said,) = notes(two, "supervised")
    assert "Nothing can be said" in said
    assert "2 paired seeds" in said
    three = compare("gta", {"a": {0: 2.0, 1: 3.0, 2: 5.0}}, {"a": {0: 1.0, 1: 1.0, 2: 1.0}})
    said = " ".join(notes(three, "supervised"))
    assert "With 3 seeds the smallest p that this test can give is 0.25, so that no p can be below 0.05." in said
    assert "Nothing can be said" not in said
    assert three[0].p == smallest_p(3) == 0.25
    six = compare("gta", {"a": dict.fromkeys(range(6), 1.0)}, {"a": dict.fromkeys(range(6), 0.0)})
    assert "is 0.031, before Holm" in " ".join(notes(six, "supervised"))
    assert significance.MINIMUM == 3
