"""The calibration error of true probabilities stays within its floor, that of false ones not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.modeling.judgement.reliability import (
    calibration_error,
    floor_of,
    reliability,
    share_interval,
)


def drawn(rows, seed, *, distort=0.0):
    """Probabilities, and outcomes drawn from them after a shift of the log-odds."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.7, 4.0, rows)
    odds = probability / (1 - probability) * np.exp(distort)
    return probability, (rng.random(rows) < odds / (1 + odds)).astype(float)


def test_a_perfect_model_lies_within_its_floor_nineteen_times_of_twenty():
    inside = [
        calibration_error(outcome, probability) <= floor_of(probability, draws=100).high
        for probability, outcome in (drawn(500, seed) for seed in range(40))
    ]
    assert np.mean(inside) >= 0.85


def test_a_model_that_says_too_little_lies_above_its_floor_and_its_interval_above_zero():
    probability, outcome = drawn(4_000, 1, distort=0.5)
    found = reliability("all", outcome, probability, np.arange(4_000))
    assert not found.within_floor
    assert found.error.low > 0
    assert found.observed > found.predicted


def test_the_interval_holds_the_true_error_of_a_model_that_errs():
    """Far from the floor; the true error is that of a sample too large to matter."""
    truth = calibration_error(*drawn(400_000, 99, distort=0.5)[::-1])
    found = [
        reliability("all", outcome, probability, np.arange(2_000), replicates=60).error
        for probability, outcome in (drawn(2_000, seed, distort=0.5) for seed in range(30))
    ]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.8


def test_the_interval_of_a_perfect_model_ends_far_below_the_floor():
    found = [
        reliability("all", outcome, probability, np.arange(1_000), replicates=60)
        for probability, outcome in (drawn(1_000, seed) for seed in range(10))
    ]
    assert np.mean([one.error.low for one in found]) < found[0].floor.mean / 4


def test_the_floor_falls_with_the_square_root_of_the_rows():
    small, large = (floor_of(drawn(rows, 3)[0]).mean for rows in (1_000, 16_000))
    assert small / large == pytest.approx(4, rel=0.15)


def test_the_floor_of_the_complete_journeys_size_is_that_of_the_literature():
    """A perfect model at n = 2,213 and a base rate of .13: .013 on average, .020 at 95 %."""
    rng = np.random.default_rng(0)
    floor = floor_of(rng.beta(0.5, 3.35, 2_213))
    assert floor.mean == pytest.approx(0.013, abs=0.001)
    assert floor.high == pytest.approx(0.020, abs=0.002)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60))
def test_bins_hold_every_row_once_and_the_error_is_that_of_the_bins(rows):
    outcome, probability = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = reliability("all", outcome, probability, np.arange(len(rows)), replicates=3)
    assert sum(one.rows for one in found.bins) == len(rows) == found.rows
    assert len(found.bins) <= 10
    gaps = [abs(one.predicted - one.observed.estimate) * one.rows for one in found.bins]
    assert found.error.estimate == pytest.approx(sum(gaps) / len(rows), abs=1e-12)
    assert 0 <= found.error.low <= found.error.high


def test_equal_probabilities_share_a_bin():
    found = reliability("all", [0, 1, 0, 1], [0.5] * 4, range(4), replicates=2)
    assert [one.rows for one in found.bins] == [4]
    assert found.error.estimate == 0


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_share_lies_in_its_interval(count, more):
    found = share_interval(count, count + more)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_a_share_of_nothing_is_not_defined():
    assert np.isnan(share_interval(0, 0).estimate)
