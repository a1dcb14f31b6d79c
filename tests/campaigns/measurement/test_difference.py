"""The difference of two groups is that of the textbooks, and CUPED that of a regression."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from churn.campaigns.measurement.difference import cuped, difference


def two_groups(seed, customers=200, effect=0.0):
    """An outcome that a covariate tells something of, and a lot."""
    rng = np.random.default_rng(seed)
    treated = rng.random(customers) < 0.8
    treated[:4] = [True, True, False, False]
    covariate = rng.random(customers)
    outcome = 3 * covariate + rng.exponential(1.0, customers) + effect * treated
    return outcome, treated, covariate


@given(st.integers(0, 10_000))
def test_the_error_is_welchs(seed):
    outcome, treated, _ = two_groups(seed)
    found = difference(outcome, treated)
    oracle = ttest_ind(outcome[treated], outcome[~treated], equal_var=False)
    assert found.estimate / found.error == pytest.approx(oracle.statistic)


@given(st.integers(0, 10_000))
def test_cuped_is_the_coefficient_of_a_regression_on_group_and_covariate(seed):
    outcome, treated, covariate = two_groups(seed)
    found = difference(cuped(outcome, treated, covariate), treated)
    design = np.column_stack([np.ones(len(outcome)), treated, covariate])
    oracle = np.linalg.lstsq(design, outcome, rcond=None)[0][1]
    assert found.estimate == pytest.approx(oracle)


def test_cuped_narrows_what_was_foreseeable_and_nothing_else():
    """Of a variance of 1.75 the covariate explains .75."""
    outcome, treated, covariate = two_groups(1, customers=100_000, effect=0.5)
    plain = difference(outcome, treated)
    adjusted = difference(cuped(outcome, treated, covariate), treated)
    assert adjusted.error / plain.error == pytest.approx(math.sqrt(1 / 1.75), abs=0.01)
    assert adjusted.interval()[0] < 0.5 < adjusted.interval()[1]


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Of 600 made-up campaigns with CUPED 95 % cover, give or take three standard errors."""
    inside = 0
    for seed in range(600):
        outcome, treated, covariate = two_groups(seed, effect=0.3)
        low, high = difference(cuped(outcome, treated, covariate), treated).interval()
        inside += low <= 0.3 <= high
    assert inside / 600 == pytest.approx(0.95, abs=0.027)


def test_customers_without_a_covariate_count_as_average():
    outcome, treated, covariate = two_groups(2)
    unknown = np.full(len(outcome), np.nan)
    np.testing.assert_array_equal(cuped(outcome, treated, unknown), outcome)
    some = np.where(np.arange(len(outcome)) % 2, covariate, np.nan)
    adjusted = cuped(outcome, treated, some)
    np.testing.assert_array_equal(adjusted[::2], outcome[::2])


def test_customers_needed_are_those_at_which_the_difference_would_be_found():
    outcome, treated, _ = two_groups(3, effect=0.1)
    found = difference(outcome, treated)
    grown = found.error * math.sqrt(found.customers / found.customers_needed)
    assert abs(found.estimate) / grown == pytest.approx(2.8015852)


def test_no_difference_at_all_needs_no_number_of_customers():
    treated = np.array([True, True, False, False])
    found = difference(np.ones(4), treated)
    assert found.customers_needed == math.inf
    assert found.interval() == (0.0, 0.0)
    assert not found.is_clear()
