"""A correction is made where it earns its place on unseen customers, and nowhere else."""

import numpy as np
import pandas as pd
import pytest

from churn.modeling.calibration import IDENTITY, choose_calibration
from churn.modeling.portable import logit, sigmoid

ROWS = 3_000


@pytest.fixture(scope="module")
def truth():
    """Outcomes, the log-odds that they were drawn from, and whose they are."""
    rng = np.random.default_rng(3)
    line = rng.normal(-1.2, 1.3, size=ROWS)
    happened = (rng.random(ROWS) < sigmoid(line)).astype(float)
    return happened, line, pd.Series([f"c{number}" for number in range(ROWS)])


def chosen(truth, said):
    happened, _, customer = truth
    return choose_calibration(happened, sigmoid(said), customer, seed=1)


def test_nothing_is_corrected_where_the_probabilities_are_right(truth):
    assert chosen(truth, truth[1]) == IDENTITY


def test_the_intercept_is_shifted_where_only_the_base_rate_is_off(truth):
    found = chosen(truth, truth[1] + 0.8)
    assert found["kind"] == "shift"
    assert found["slope"] == 1.0
    assert found["intercept"] == pytest.approx(-0.8, abs=0.15)


def test_a_line_is_laid_through_the_log_odds_where_they_are_too_steep(truth):
    """Said twice as sure as it is: half the slope, and the intercept that goes with it."""
    found = chosen(truth, 2 * truth[1] - 0.5)
    assert found["kind"] == "platt"
    assert found["slope"] == pytest.approx(0.5, abs=0.07)
    assert found["intercept"] == pytest.approx(0.25, abs=0.15)


def test_a_correction_makes_the_average_right(truth):
    happened, line, _ = truth
    found = chosen(truth, 2 * line - 0.5)
    corrected = sigmoid(found["intercept"] + found["slope"] * logit(sigmoid(2 * line - 0.5)))
    assert corrected.mean() == pytest.approx(happened.mean(), abs=1e-4)


def test_a_few_customers_are_not_enough_to_correct_anything(truth):
    """A slightly wrong base rate cannot be told from chance on 60 rows."""
    few = tuple(column[:60] for column in truth)
    assert chosen(few, few[1] + 0.1) == IDENTITY


def test_one_class_leaves_the_probabilities_as_they_are(truth):
    _, line, customer = truth
    assert choose_calibration(np.zeros(ROWS), sigmoid(line), customer, seed=1)["slope"] == 1.0


def test_the_same_rows_and_seed_choose_the_same(truth):
    assert chosen(truth, 2 * truth[1]) == chosen(truth, 2 * truth[1])
