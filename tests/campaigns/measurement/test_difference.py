"""The difference of two groups equals Welch's test, and CUPED a regression."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from churn.campaigns.measurement.difference import cuped, difference


def two_groups(seed, customers=200, effect=0.0):
    """An outcome correlated with a covariate, and a random assignment."""
    rng = np.random.default_rng(seed)
    treated = rng.random(customers) < 0.8
    treated[:4] = [True, True, False, False]
    covariate = rng.random(customers)
    outcome = 3 * covariate + rng.exponential(1.0, customers) + effect * treated
    return outcome, treated, covariate


@given(st.integers(0, 10_000))
def test_the_standard_error_is_that_of_welchs_test(seed):
    outcome, treated, _ = two_groups(seed)
    effect = difference(outcome, treated)
    oracle = ttest_ind(outcome[treated], outcome[~treated], equal_var=False)
    assert effect.estimate / effect.error == pytest.approx(oracle.statistic)


@given(st.integers(0, 10_000))
def test_cuped_equals_a_regression_on_group_and_covariate(seed):
    outcome, treated, covariate = two_groups(seed)
    effect = difference(cuped(outcome, treated, covariate), treated)
    design = np.column_stack([np.ones(len(outcome)), treated, covariate])
    oracle = np.linalg.lstsq(design, outcome, rcond=None)[0][1]
    assert effect.estimate == pytest.approx(oracle)


def test_cuped_removes_the_variance_that_the_covariate_explains():
    """The covariate explains .75 of a variance of 1.75."""
    outcome, treated, covariate = two_groups(1, customers=100_000, effect=0.5)
    plain = difference(outcome, treated)
    adjusted = difference(cuped(outcome, treated, covariate), treated)
    assert adjusted.error / plain.error == pytest.approx(math.sqrt(1 / 1.75), abs=0.01)
    assert adjusted.interval()[0] < 0.5 < adjusted.interval()[1]


def test_intervals_have_their_nominal_coverage():
    """In 600 simulated campaigns with CUPED, 95 % cover the truth, within three standard errors."""
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


def test_customers_needed_detect_the_difference_with_the_stated_power():
    outcome, treated, _ = two_groups(3, effect=0.1)
    effect = difference(outcome, treated)
    error = effect.error * math.sqrt(effect.customers / effect.customers_needed)
    assert abs(effect.estimate) / error == pytest.approx(2.8015852)


def test_no_number_of_customers_detects_a_difference_of_zero():
    treated = np.array([True, True, False, False])
    effect = difference(np.ones(4), treated)
    assert effect.customers_needed == math.inf
    assert effect.interval() == (0.0, 0.0)
    assert not effect.is_clear()
