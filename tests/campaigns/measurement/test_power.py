"""Sizes of experiments: formulas of the literature, simulated power, and the sample-ratio check."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.measurement.power import (
    customers_needed,
    sample_ratio,
    smallest_detectable_effect,
)
from churn.errors import ConfigError


def test_equal_arms_need_16_p_q_over_delta_squared_each():
    assert customers_needed(0.2, 0.02) / 2 == pytest.approx(16 * 0.2 * 0.8 / 0.02**2, rel=0.02)


def test_a_holdout_of_a_tenth_needs_8_7_p_q_over_delta_squared():
    held = 0.1 * customers_needed(0.2, 0.02, holdout=0.1)
    assert held == pytest.approx(8.7 * 0.2 * 0.8 / 0.02**2, rel=0.01)


@given(st.floats(0.05, 0.95), st.floats(0.005, 0.2), st.floats(0.05, 0.95))
def test_customers_needed_is_the_smallest_sample_that_detects_the_effect(rate, effect, holdout):
    needed = customers_needed(rate, effect, holdout=holdout)
    assert smallest_detectable_effect(rate, needed, holdout=holdout) <= effect
    if needed > 100:
        fewer = smallest_detectable_effect(rate, round(needed * 0.98), holdout=holdout)
        assert fewer > effect


def test_experiments_of_that_size_have_80_percent_power():
    rng = np.random.default_rng(5)
    arm = customers_needed(0.5, 0.03) // 2
    rates = rng.binomial(arm, [[0.5], [0.47]], size=(2, 4_000)) / arm
    error = np.sqrt((rates * (1 - rates) / arm).sum(axis=0))
    shown = np.abs(rates[0] - rates[1]) / error > 1.96
    assert shown.mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_rate": 1.2, "effect": 0.1}, "base_rate must be between 0 and 1"),
        ({"base_rate": 0.2, "effect": 0}, "effect must not be 0"),
        ({"base_rate": 0.2, "effect": 0.1, "holdout": 1.0}, "holdout must be a share between"),
    ],
)
def test_impossible_designs_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        customers_needed(**arguments)


def test_the_check_has_a_false_alarm_rate_of_one_in_a_thousand():
    rng = np.random.default_rng(3)
    shares = {"treatment": 0.8, "holdout": 0.1, "explore": 0.1}
    draws = rng.multinomial(20_000, list(shares.values()), size=3_000)
    alarms = [
        not sample_ratio(dict(zip(shares, map(int, row), strict=True)), shares).as_planned
        for row in draws
    ]
    assert sum(alarms) <= 10


def test_a_lost_part_of_an_arm_is_detected():
    ratio = sample_ratio({"treatment": 9_000, "holdout": 800}, {"treatment": 0.9, "holdout": 0.1})
    assert not ratio.as_planned
    assert ratio.planned == {"treatment": 8820.0, "holdout": 980.0}


def test_a_customer_in_an_arm_with_share_zero_is_detected():
    ratio = sample_ratio({"treatment": 10, "control": 1}, {"treatment": 1.0, "control": 0.0})
    assert ratio.p_value == 0.0


def test_shares_that_do_not_add_up_are_refused():
    with pytest.raises(ConfigError, match=r"add up to 1.*Give each arm its share"):
        sample_ratio({"a": 1, "b": 1}, {"a": 0.5, "b": 0.4})
