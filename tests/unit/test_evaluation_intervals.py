"""Means and their intervals, where the answers are known."""

import math

import numpy as np
import pytest

from lsp_server.evaluation.intervals import mean_with_interval, paired_difference


def test_no_cases_give_no_mean():
    assert mean_with_interval([]) is None
    assert paired_difference([], []) is None


def test_cases_that_agree_have_no_width():
    estimate = mean_with_interval([0.25] * 30)
    assert (estimate.mean, estimate.low, estimate.high, estimate.margin) == (0.25, 0.25, 0.25, 0)


def test_a_share_has_the_width_that_theory_says():
    estimate = mean_with_interval([1.0] * 100 + [0.0] * 300)
    expected = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert estimate.mean == 0.25
    assert estimate.margin == pytest.approx(expected, rel=0.06)


def test_a_mean_has_the_width_that_theory_says():
    values = np.random.default_rng(3).normal(5, 2, 500)
    estimate = mean_with_interval(list(values))
    assert estimate.margin == pytest.approx(1.96 * values.std() / math.sqrt(500), rel=0.06)


def test_weights_make_a_rate_of_totals():
    assert mean_with_interval([1.0, 0.0], [1.0, 3.0]).mean == 0.25


def test_the_same_values_always_give_the_same_interval():
    values = list(np.random.default_rng(0).random(40))
    assert mean_with_interval(values) == mean_with_interval(values)
    assert mean_with_interval(values, seed=1) != mean_with_interval(values)


def test_pairs_cancel_what_makes_cases_hard():
    """A constant gain over very different cases is certain, where the two means overlap."""
    baseline = list(np.linspace(0, 1, 50))
    better = [value + 0.01 for value in baseline]
    difference = paired_difference(better, baseline)
    assert difference.mean == pytest.approx(0.01)
    assert difference.low == pytest.approx(0.01)
    one, other = mean_with_interval(better), mean_with_interval(baseline)
    assert one.low < other.high


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="zip"):
        paired_difference([1.0], [])
