import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from churn.modeling.metrics import Interval
from churn.uplift.average import Estimate
from churn.uplift.ranking import UpliftReport
from churn.uplift.verdict import customers_per_arm, log_odds_shift_of, verdict


def interval(low: float) -> Interval:
    return Interval(low + 0.01, low, low + 0.02)


def report(**lows: float) -> UpliftReport:
    qini = {"dr": interval(lows["all"]), "t": interval(0.0)}
    others = {name: interval(low) for name, low in lows.items() if name not in ("none", "all")}
    return UpliftReport(0.3, {}, qini, {"none": interval(lows["none"])}, others)


CLEAR, UNCLEAR = Estimate(0.05, 0.01), Estimate(0.01, 0.02)
AHEAD = {"none": 0.01, "all": 0.01, "risk": 0.01}


def test_effects_are_individual_if_the_ranking_beats_all_three_alternatives():
    reached, reasons = verdict(CLEAR, 5_000, report(**AHEAD))
    assert reached == "individual"
    assert len(reasons) == 3


@pytest.mark.parametrize("alternative", ["none", "all", "risk"])
def test_one_alternative_that_is_not_beaten_leaves_the_average(alternative):
    reached, reasons = verdict(CLEAR, 5_000, report(**(AHEAD | {alternative: -0.001})))
    assert reached == "average"
    assert sum("does not beat" in reason for reason in reasons) == 1


def test_challengers_do_not_change_the_verdict():
    reached, _ = verdict(CLEAR, 5_000, report(**AHEAD, t=-0.01))
    assert reached == "individual"


def test_an_interval_including_zero_is_too_small_to_tell_unless_it_is_narrow():
    assert verdict(UNCLEAR, 5_000, None)[0] == "too small to tell"
    assert verdict(Estimate(0.001, 0.005), 5_000, None)[0] == "average"


def test_a_clear_effect_of_few_customers_is_too_small_to_tell():
    reached, reasons = verdict(CLEAR, 249, report(**AHEAD))
    assert reached == "too small to tell"
    assert reasons == ("the smaller arm has 249 customers, 250 needed",)


@given(
    st.lists(st.floats(0.05, 0.95), min_size=1, max_size=20).map(np.array), st.floats(-0.04, 0.04)
)
def test_the_shift_raises_the_mean_by_the_effect(retained, effect):
    shift = log_odds_shift_of(effect, retained)
    raised = expit(logit(retained) + shift).mean() - retained.mean()
    assert raised == pytest.approx(effect, abs=1e-9)


def test_the_shift_of_an_unreachable_effect_is_limited():
    assert log_odds_shift_of(0.9, np.array([0.8])) == 15
    assert log_odds_shift_of(-0.9, np.array([0.2])) == -15


def test_smaller_effects_need_more_customers_down_to_one_point():
    assert customers_per_arm(0.02, 0.5) == 10_000
    assert customers_per_arm(-0.02, 0.5) == 10_000
    assert customers_per_arm(0.0, 0.5) == customers_per_arm(0.01, 0.5) == 40_000
