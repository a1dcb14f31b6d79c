import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import DataError, GateError
from churn.uplift.policy_value import policy_value


def randomised(rows: int, seed: int):
    """Assignment to three arms with its propensity and outcome, and the outcomes of all arms."""
    rng = np.random.default_rng(seed)
    propensities = np.array([0.5, 0.3, 0.2])
    arm = rng.choice(3, size=rows, p=propensities)
    potential = rng.random((rows, 1)) + np.array([0.0, 0.5, 1.0])
    outcome = potential[np.arange(rows), arm]
    return arm, propensities[arm], outcome, potential


@given(st.integers(0, 500))
def test_all_estimators_are_within_five_standard_errors_of_the_truth(seed):
    arm, propensity, outcome, potential = randomised(3_000, seed)
    choice = np.random.default_rng(seed + 1).integers(0, 3, 3_000)
    truth = potential[np.arange(3_000), choice].mean()
    value = policy_value(
        choice, arm, propensity, outcome, np.arange(3_000), predicted=potential + 0.1
    )
    for estimate in (value.ipw, value.snips, value.dr):
        assert abs(estimate.estimate - truth) < 5 * estimate.error


def test_with_good_predictions_dr_is_more_precise_than_weighting():
    arm, propensity, outcome, potential = randomised(2_000, 4)
    choice = np.full(2_000, 2)
    value = policy_value(choice, arm, propensity, outcome, np.arange(2_000), predicted=potential)
    assert value.dr.error < value.snips.error < value.ipw.error


def test_the_value_of_the_logged_policy_is_the_mean_outcome():
    arm, outcome = np.zeros(300, dtype=int), np.linspace(0, 1, 300)
    value = policy_value(arm, arm, np.ones(300), outcome, np.arange(300))
    assert value.ipw.estimate == pytest.approx(outcome.mean())
    assert value.snips.estimate == pytest.approx(outcome.mean())
    assert value.effective_rows == 300
    assert value.dr is None


def test_too_few_rows_that_agree_are_refused():
    arm, propensity, outcome, _ = randomised(200, 1)
    with pytest.raises(GateError, match="Randomise more contacts, or evaluate a policy closer"):
        policy_value(np.full(200, 2), arm, propensity, outcome, np.arange(200))


def test_propensities_outside_0_to_1_are_refused():
    arm = np.zeros(2, dtype=int)
    with pytest.raises(DataError, match="propensities must be above 0 and at most 1"):
        policy_value(arm, arm, [0.0, 1.5], [1.0, 1.0], ["a", "b"])
