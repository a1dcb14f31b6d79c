"""A plan's value over the remaining life: the same offers, gains of later horizons included."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.offers.remaining_life import RemainingLife

risks = st.floats(0, 1)
years = st.floats(0, 30)
rates = st.floats(0, 1)
horizons = st.sampled_from([7, 28, 91, 365])


@given(risks, years, rates, horizons)
def test_the_multiple_is_the_sum_over_all_horizons(risk, span, rate, horizon):
    life = RemainingLife(years=span, discount_rate=rate)
    count = max(math.floor(span * 365.25 / horizon), 1)
    per_horizon = (1 - risk) * (1 + rate) ** (-horizon / 365.25)
    expected = math.fsum(per_horizon**k for k in range(count))
    found = life.multiple(np.array([risk]), horizon)[0]
    assert found == pytest.approx(expected, rel=1e-9)


@given(risks, risks, years, years, rates, horizons)
def test_longer_lives_and_safer_customers_are_worth_no_less(one, other, few, many, rate, horizon):
    safe, risky = sorted((one, other))
    short, long = sorted((few, many))

    def multiple(risk, span):
        life = RemainingLife(years=span, discount_rate=rate)
        return life.multiple(np.array([risk]), horizon)[0]

    assert multiple(safe, long) >= multiple(risky, long) * (1 - 1e-9)
    assert multiple(risky, long) >= multiple(risky, short) * (1 - 1e-9)
    assert multiple(risky, short) >= 1 - 1e-9


def test_an_unknown_probability_has_no_multiple():
    assert np.isnan(RemainingLife().multiple(np.array([np.nan]), 28)).all()


def test_a_plan_counts_each_gain_times_its_multiple_and_each_cost_once():
    table = pa.table({"expected_gain": [8.0, 0.0, 2.0], "expected_cost": [1.0, 0.0, 3.0]})
    scores = pa.table(
        {
            "churn_probability": pa.array([0.5, None, 1.0], pa.float64()),
            "horizon_days": pa.array([None, 100, 100], pa.int32()),
        }
    )
    found = RemainingLife(years=1.0, discount_rate=0.0).of_plan(table, scores)
    assert found == {
        "years": 1.0,
        "discount_rate": 0.0,
        "horizon_days": 100,
        "expected_value": 8 * 1.75 + 2 - 4,
    }


def test_scores_without_one_horizon_have_no_such_value():
    table = pa.table({"expected_gain": [8.0], "expected_cost": [1.0]})
    scores = pa.table({"churn_probability": [0.5]})
    assert RemainingLife().of_plan(table, scores) is None
    mixed = pa.table({"churn_probability": [0.5, 0.5], "horizon_days": [28, 56]})
    twice = pa.concat_tables([table, table])
    assert RemainingLife().of_plan(twice, mixed) is None
    empty = pa.table({"churn_probability": pa.array([], pa.float64()), "horizon_days": []})
    assert RemainingLife().of_plan(table.slice(1), empty) is None


@pytest.mark.parametrize("wrong", [{"years": -1.0}, {"years": 101.0}, {"discount_rate": 1.5}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="remaining life must be between 0 and"):
        RemainingLife(**wrong)
