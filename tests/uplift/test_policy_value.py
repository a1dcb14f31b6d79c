import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import DataError, GateError
from churn.uplift.policy_value import policy_value


def lots(rows: int, seed: int):
    """Three arms by unequal lots, what each would bring, and what the lot brought."""
    rng = np.random.default_rng(seed)
    chances = np.array([0.5, 0.3, 0.2])
    given_arm = rng.choice(3, size=rows, p=chances)
    worlds = rng.random((rows, 1)) + np.array([0.0, 0.5, 1.0])
    outcome = worlds[np.arange(rows), given_arm]
    return given_arm, chances[given_arm], outcome, worlds


@given(st.integers(0, 500))
def test_all_three_estimators_hold_the_truth_within_five_errors(seed):
    given_arm, propensity, outcome, worlds = lots(3_000, seed)
    choice = np.random.default_rng(seed + 1).integers(0, 3, 3_000)
    truth = worlds[np.arange(3_000), choice].mean()
    found = policy_value(
        choice, given_arm, propensity, outcome, np.arange(3_000), predicted=worlds + 0.1
    )
    for one in (found.ipw, found.snips, found.dr):
        assert abs(one.estimate - truth) < 5 * one.error


def test_a_good_prediction_makes_dr_sharper_than_weighting_alone():
    given_arm, propensity, outcome, worlds = lots(2_000, 4)
    choice = np.full(2_000, 2)
    found = policy_value(choice, given_arm, propensity, outcome, np.arange(2_000), predicted=worlds)
    assert found.dr.error < found.snips.error < found.ipw.error


def test_doing_what_the_lot_did_for_certain_is_worth_what_it_brought():
    arm, outcome = np.zeros(300, dtype=int), np.linspace(0, 1, 300)
    found = policy_value(arm, arm, np.ones(300), outcome, np.arange(300))
    assert found.ipw.estimate == pytest.approx(outcome.mean())
    assert found.snips.estimate == pytest.approx(outcome.mean())
    assert found.effective_rows == 300
    assert found.dr is None


def test_too_few_rows_that_agree_are_refused():
    given_arm, propensity, outcome, _ = lots(200, 1)
    with pytest.raises(GateError, match="Randomise more contacts"):
        policy_value(np.full(200, 2), given_arm, propensity, outcome, np.arange(200))


def test_propensities_beyond_certainty_are_refused():
    arm = np.zeros(2, dtype=int)
    with pytest.raises(DataError, match="propensities must be above 0 and at most 1"):
        policy_value(arm, arm, [0.0, 1.5], [1.0, 1.0], ["a", "b"])
