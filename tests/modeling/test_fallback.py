"""Customers whom the model does not speak for get the smoothed rate of their group."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_shop import shop_dataset

from churn.features.clock import FeatureClock
from churn.modeling.baselines import PRIOR_ROWS, fit_fallback
from churn.modeling.portable import fallback_group

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)


def members(count, lapsed, *, recency_days, status="lapsed"):
    """Rows of one group, the first `lapsed` of which bought nothing."""
    lapse = [1.0] * lapsed + [0.0] * (count - lapsed)
    return pd.DataFrame(
        {
            "status": status,
            "recency_days": recency_days,
            "lapse": lapse,
            "horizon_orders": [0.0 if gone else 2.0 for gone in lapse],
            "horizon_fenced_spend": [0.0 if gone else 30.0 for gone in lapse],
        }
    )


def test_groups_are_the_status_and_how_long_ago_in_lookbacks():
    edges = fit_fallback(members(10, 5, recency_days=60.0), CLOCK)["edges_days"]
    assert edges == [28.0, 56.0, 112.0, 224.0]
    days = [28, 29, 56, 57, 112, 113, 224, 225, 5_000]
    assert [fallback_group(edges, "lapsed", day)[-1] for day in days] == list("011223344")
    assert fallback_group(edges, "new", float("nan")) == "new:no purchase"


def test_a_large_group_speaks_for_itself():
    found = fit_fallback(members(100_000, 90_000, recency_days=300.0), CLOCK)["groups"]
    assert found["lapsed:4"]["lapse"] == pytest.approx(0.9, abs=1e-3)
    assert found["lapsed:4"]["orders"] == pytest.approx(2.0, abs=1e-2)
    assert found["lapsed:4"]["spend"] == pytest.approx(30.0, rel=1e-2)


def test_a_small_group_is_pulled_towards_its_status_by_twenty_rows():
    many, few = members(10_000, 8_000, recency_days=300.0), members(1, 0, recency_days=60.0)
    found = fit_fallback(pd.concat([many, few]), CLOCK)["groups"]
    of_status = 8_000 / 10_001
    wanted = (0 + PRIOR_ROWS * of_status) / (1 + PRIOR_ROWS)
    assert found["lapsed:2"]["lapse"] == pytest.approx(wanted, rel=1e-3)


def test_one_row_never_makes_a_rate_certain():
    for lapsed in (0, 1):
        found = fit_fallback(members(1, lapsed, recency_days=60.0), CLOCK)
        assert 0.05 < found["groups"]["lapsed:2"]["lapse"] < 0.95


def test_eligible_rows_make_no_group_but_count_in_the_rate_of_all():
    eligible = members(1_000, 0, recency_days=3.0, status="eligible")
    found = fit_fallback(pd.concat([eligible, members(10, 10, recency_days=60.0)]), CLOCK)
    assert list(found["groups"]) == ["lapsed:2"]
    assert found["default"]["lapse"] == pytest.approx(10.5 / 1_011)


def test_returns_never_make_the_spend_of_the_retained_negative():
    rows = members(100, 0, recency_days=60.0).assign(horizon_fenced_spend=-5.0)
    assert fit_fallback(rows, CLOCK)["groups"]["lapsed:2"]["spend"] == 0.0


@settings(max_examples=40)
@given(st.integers(0, 50), st.integers(0, 50))
def test_a_rate_lies_between_its_own_share_and_that_of_its_status(lapsed, retained):
    if not lapsed + retained:
        return
    group = members(lapsed + retained, lapsed, recency_days=60.0)
    other = members(200, 150, recency_days=300.0)
    found = fit_fallback(pd.concat([group, other]), CLOCK)["groups"]["lapsed:2"]["lapse"]
    share, status = lapsed / (lapsed + retained), (lapsed + 150) / (lapsed + retained + 200)
    assert min(share, status) - 0.01 <= found <= max(share, status) + 0.01


def test_the_longer_lapsed_the_likelier_to_stay_away():
    groups = fit_fallback(shop_dataset().rows, shop_dataset().clock)["groups"]
    rates = [groups[name]["lapse"] for name in sorted(groups)]
    assert rates == sorted(rates)
    assert len(rates) >= 3


def test_a_weight_counts_as_so_many_rows():
    rows = pd.concat([members(3, 1, recency_days=300.0), members(2, 2, recency_days=60.0)])
    times = [1, 3, 2, 4, 1]
    weighted = fit_fallback(rows.assign(weight=[float(n) for n in times]), CLOCK)
    repeated = fit_fallback(rows.iloc[[i for i, n in enumerate(times) for _ in range(n)]], CLOCK)
    assert weighted["default"] == pytest.approx(repeated["default"])
    for group, rates in repeated["groups"].items():
        assert weighted["groups"][group] == pytest.approx(rates)
