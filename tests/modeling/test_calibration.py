"""A correction is made where it earns its place on unseen customers, and nowhere else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.modeling.calibration import IDENTITY, KINDS, choose_calibration, fit_calibration
from churn.modeling.portable import corrected, logit, sigmoid

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
    again = corrected(found, sigmoid(2 * line - 0.5))
    assert again.mean() == pytest.approx(happened.mean(), abs=1e-4)


def test_a_few_customers_are_not_enough_to_correct_anything(truth):
    """A slightly wrong base rate cannot be told from chance on 60 rows."""
    few = tuple(column[:60] for column in truth)
    assert chosen(few, few[1] + 0.1) == IDENTITY


def test_one_class_leaves_the_probabilities_as_they_are(truth):
    _, line, customer = truth
    assert choose_calibration(np.zeros(ROWS), sigmoid(line), customer, seed=1)["slope"] == 1.0


def test_the_same_rows_and_seed_choose_the_same(truth):
    assert chosen(truth, 2 * truth[1]) == chosen(truth, 2 * truth[1])


def skewed(line):
    """Right at the low end, far too sure at the high one: no straight line mends both."""
    return np.where(line > -1.0, 3 * line + 2.0, line)


def test_each_end_gets_a_slope_of_its_own_where_one_line_does_not_do(truth):
    happened, line, customer = (np.tile(column, 4) for column in truth)
    rng = np.random.default_rng(5)
    happened = (rng.random(len(line)) < sigmoid(line)).astype(float)
    said = sigmoid(skewed(line))
    found = choose_calibration(happened, said, pd.Series(customer), seed=1)
    assert found["kind"] == "beta"
    assert found["slope"] > 2 * found["slope_stay"]
    assert np.abs(corrected(found, said) - sigmoid(line)).mean() < 0.02
    assert np.abs(said - sigmoid(line)).mean() > 0.04


def over_time(truth, *shifts):
    """The same customers at one cutoff after another, the log-odds said wrong by each shift."""
    rng = np.random.default_rng(8)
    _, line, customer = truth
    happened = [(rng.random(ROWS) < sigmoid(line)).astype(float) for _ in shifts]
    said = [sigmoid(line + shift) for shift in shifts]
    return choose_calibration(
        np.concatenate(happened),
        np.concatenate(said),
        pd.concat([customer] * len(shifts)),
        seed=1,
        fold=np.repeat(np.arange(len(shifts)), ROWS),
    )


def test_an_error_that_stays_over_time_is_corrected(truth):
    found = over_time(truth, 0.5, 0.5, 0.5)
    assert found["kind"] == "shift"
    assert found["intercept"] == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize("shifts", [(0.5, -0.5, 0.5), (0.5, 0.5, -0.2), (0.6, 0.0, 0.6)])
def test_an_error_that_turns_with_the_season_is_not_corrected(truth, shifts):
    """On one cutoff each would be: what it teaches is wrong at the next."""
    assert over_time(truth, *shifts) == IDENTITY


def test_one_cutoff_corrects_nothing_for_nothing_shows_that_it_lasts(truth):
    assert over_time(truth, 0.8) == IDENTITY


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=2, max_size=60),
)
def test_no_correction_turns_the_ranking_around(kind, rows):
    said, happened = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    again = corrected(fit_calibration(kind, happened, said), said)
    order = np.argsort(said, kind="stable")
    assert (np.diff(again[order]) >= -1e-12).all()
    assert ((again >= 0) & (again <= 1)).all()


def test_a_correction_without_a_second_slope_is_platts_line():
    """Bundles of earlier releases have none."""
    said = np.array([0.1, 0.5, 0.9])
    line = {"kind": "platt", "intercept": 0.3, "slope": 0.7}
    np.testing.assert_allclose(corrected(line, said), sigmoid(0.3 + 0.7 * logit(said)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_counts_as_so_many_rows(truth, kind):
    happened, line, _ = (column[:400] for column in truth)
    said, times = sigmoid(1.5 * line + 0.4), np.random.default_rng(2).integers(1, 4, size=400)
    weighted = fit_calibration(kind, happened, said, times.astype(float))
    repeated = fit_calibration(kind, np.repeat(happened, times), np.repeat(said, times))
    for name in ("intercept", "slope", "slope_stay"):
        assert weighted[name] == pytest.approx(repeated[name], abs=1e-4)


def test_the_choice_counts_weights_too(truth):
    """Right on the rows that stand for many, wrong on those that stand for next to none."""
    happened, line, customer = truth
    odd = np.arange(ROWS) % 2 == 1
    said = sigmoid(np.where(odd, line + 2.0, line))
    weight = np.where(odd, 1e-6, 1.0)
    assert choose_calibration(happened, said, customer, seed=1)["kind"] != "none"
    assert choose_calibration(happened, said, customer, seed=1, weight=weight) == IDENTITY
