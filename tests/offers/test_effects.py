import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.offers.effects import assumed_effects, log_odds_shift, margin_at_stake, offer_worth

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=20).map(np.array)


@given(st.floats(0.1, 0.9), st.floats(-0.09, 0.09))
def test_a_customer_at_the_base_rate_gets_the_stated_effect(make_offer, base_rate, effect):
    offer = make_offer(effect=effect, effect_low=-0.5, effect_high=0.5)
    found = assumed_effects(np.array([base_rate]), [offer], base_rate=base_rate)
    assert found.mean[0, 0] == pytest.approx(effect, abs=1e-9)


@given(probabilities, st.floats(0.05, 0.95))
def test_the_interval_contains_the_effect_and_nobody_is_saved_twice(make_offer, risk, base_rate):
    found = assumed_effects(risk, [make_offer()], base_rate=base_rate)
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()
    assert (found.high[:, 0] <= risk + 1e-12).all()


def test_sure_buyers_and_lost_causes_move_least():
    risk = np.array([0.001, 0.4, 0.999])
    shift = log_odds_shift(0.03, base_rate=0.2)
    before = np.log((1 - risk) / risk)
    tau = 1 / (1 + np.exp(-before - shift)) - (1 - risk)
    assert tau.argmax() == 1
    assert (tau[[0, 2]] < 0.001).all()


def test_certainty_is_not_moved_at_all(make_offer):
    found = assumed_effects(np.array([0.0, 1.0]), [make_offer()], base_rate=0.2)
    assert found.mean.tolist() == [[0.0], [0.0]]
    assert found.source == ("assumed",)


def test_a_missing_probability_has_no_effect_to_state(make_offer):
    found = assumed_effects(np.array([np.nan, 0.2]), [make_offer()], base_rate=0.2)
    assert np.isnan(found.mean[:, 0]).tolist() == [True, False]


def test_an_effect_larger_than_the_base_rate_is_refused(make_offer):
    with pytest.raises(ConfigError, match=r"State an effect between -0\.9800 and 0\.0200"):
        assumed_effects(np.array([0.02]), [make_offer(effect=0.03)], base_rate=0.02)


def test_a_bound_beyond_certainty_is_cut_to_it(make_offer):
    offer = make_offer(effect_high=0.5)
    found = assumed_effects(np.array([0.1]), [offer], base_rate=0.1)
    assert found.high[0, 0] == pytest.approx(0.1, abs=1e-5)


def test_the_margin_at_stake_undoes_the_weighting_by_risk():
    risk = np.array([0.25, 0.0, 0.5, 0.5, 1e-310])
    at_risk = np.array([5.0, 0.0, -3.0, np.nan, 1.0])
    np.testing.assert_array_equal(margin_at_stake(risk, at_risk), [20, 0, 0, np.nan, np.nan])


def test_an_offer_is_worth_its_effect_on_the_margin_less_redemptions_and_contact(make_offer):
    offer = make_offer(margin_cost=9.0, redemption_rate=0.1, contact_cost=0.1, effect=0.03)
    worth = offer_worth(np.array([0.2]), np.array([40.0]), [offer], base_rate=0.2)
    assert worth.gain[0, 0] == pytest.approx(0.03 * 200)
    assert worth.value[0, 0] == pytest.approx(0.03 * 200 - 0.1 * 9.0 - 0.1)
