"""Stages: the timeline by hand, its balance with activity, and the censored median."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.analytics.cells import Cell
from churn.analytics.customer_base import CustomerBase
from churn.analytics.frictions import Friction
from churn.analytics.journey import journey, journey_customers
from churn.analytics.journey_shown import sentence
from churn.analytics.periods import Period
from churn.analytics.stages import (
    ACTIVE,
    AT_RISK,
    FIRST,
    LAPSED,
    LOYAL,
    NOT_YET,
    REPEAT,
    STAGES,
    WON_BACK,
    median_duration,
    timeline,
)
from churn.errors import ConfigError

START = date(2024, 1, 1)
FIRST_DAY = (START - date(1970, 1, 1)).days


def of(days, until, active_days=20, loyal_days=4):
    day = np.array(days, dtype=np.int64)
    found = timeline(
        np.zeros(len(day), dtype=np.int64),
        day,
        until=until,
        active_days=active_days,
        loyal_days=loyal_days,
    )
    columns = (found.stage, found.start, found.end, found.is_over)
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]


def test_a_customer_passes_through_the_stages():
    assert of([0, 5, 8, 10, 60], until=100) == [
        (FIRST, 0, 5, 1),
        (REPEAT, 5, 10, 1),
        (LOYAL, 10, 20, 1),
        (AT_RISK, 20, 30, 1),
        (LAPSED, 30, 60, 1),
        (WON_BACK, 60, 70, 1),
        (AT_RISK, 70, 80, 1),
        (LAPSED, 80, 100, 0),
    ]


def test_a_stage_that_still_runs_is_not_over():
    assert of([0], until=10) == [(FIRST, 0, 10, 0)]
    assert of([0], until=11) == [(FIRST, 0, 10, 1), (AT_RISK, 10, 11, 0)]


def test_without_purchases_there_is_no_timeline():
    assert of([], until=10) == []


@given(
    st.lists(st.integers(0, 200), min_size=1, unique=True).map(sorted),
    st.integers(2, 60),
    st.integers(1, 230),
)
def test_who_is_in_an_active_stage_bought_in_the_active_days(days, active_days, cutoff):
    day = np.array(days)
    found = timeline(
        np.zeros(len(day), dtype=np.int64), day, until=230, active_days=active_days, loyal_days=4
    )
    (stage,) = found.at(cutoff, 1)
    bought = [one for one in days if one < cutoff]
    expected = bool(bought) and bought[-1] >= cutoff - active_days
    assert (stage in ACTIVE) == expected
    assert (stage == NOT_YET) == (not bought)


def test_the_median_duration_counts_those_that_still_run():
    days = np.array([1.0, 2.0, 3.0, 4.0])
    assert median_duration(days, np.array([True, False, False, True])) == 4.0
    assert np.isnan(median_duration(days, np.zeros(4, dtype=bool)))
    assert np.isnan(median_duration(np.array([]), np.array([], dtype=bool)))


def orders(days_by_customer):
    return [
        {
            "customer_id": name,
            "ordered_at": datetime(2024, 1, 1, 12, tzinfo=UTC) + timedelta(days=day),
            "amount": 10.0,
        }
        for name, days in days_by_customer.items()
        for day in days
    ]


def base_of(tables, active_days=20):
    return CustomerBase.of(tables, as_of=tables.limit(), active_days=active_days)


def period_of(base, days):
    start = base.as_of - timedelta(days=days)
    return Period("p", start, base.as_of, is_partial=False, is_truncated=False)


HISTORIES = st.dictionaries(
    st.sampled_from(["ann", "bob", "cyd", "dan", "eve"]),
    st.lists(st.integers(0, 120), min_size=1),
    min_size=1,
)


@settings(max_examples=15)
@given(HISTORIES, st.integers(2, 60), st.integers(1, 40))
def test_stages_sum_to_the_balance(open_shop, histories, active_days, length):
    base = base_of(open_shop(orders(histories)), active_days)
    period = period_of(base, length)
    found = journey(base, period, loyal_days=3, frictions=[])
    balance = found.resolved["balance"]
    stages = {row["stage"]: row for row in found.table("stages").to_pylist()}
    active = [stages[list(STAGES)[place]] for place in ACTIVE]
    assert sum(row["at_start"] for row in active) == balance["start"]
    assert sum(row["at_end"] for row in active) == balance["end"]
    assert balance["start"] == balance["kept"] + balance["lost"]
    assert balance["end"] == balance["kept"] + balance["new"] + balance["won_back"]
    start, end = ((one - START).days for one in (period.start, period.end))
    by_hand = [
        tuple(any(c - active_days <= day < c for day in days) for c in (start, end))
        for days in histories.values()
    ]
    assert balance["kept"] == sum(a and b for a, b in by_hand)
    assert balance["lost"] == sum(a and not b for a, b in by_hand)
    for row in stages.values():
        if row["connected"]:
            assert row["at_start"] == row["stayed"] + row["out"]
            assert row["at_end"] == row["stayed"] + row["into"]


@pytest.fixture
def base(open_shop):
    """Ann stays, Bob lapses in the last 28 days, Cyd arrives."""
    return base_of(
        open_shop(orders({"ann": range(0, 100, 5), "bob": [0, 40, 55], "cyd": [98]})), 28
    )


def test_the_largest_leak_is_told_in_money(base):
    found = journey(base, period_of(base, 28), loyal_days=10, frictions=[])
    assert found.table("leaks").to_pylist()[0]["net_spend_year_before"] == 30.0
    assert "the largest leak: 1 customers went from" in found.notes[0]


def test_a_stage_that_the_tables_cannot_show_says_so(base):
    found = journey(base, period_of(base, 28), loyal_days=10, frictions=[])
    ladder = {row[0]: row[1] for row in found.displays[0].rows}
    assert ladder["considering"] == "not connected"
    assert found.table("stages").to_pylist()[1]["at_start"] is None


def test_customers_of_a_transition_are_listed(base):
    cell = Cell.parse("moved,to=lapsed")
    found = journey_customers(base, period_of(base, 28), cell, loyal_days=10)
    assert found["customer_id"].to_pylist() == ["bob"]
    with pytest.raises(ConfigError, match="to must be one of"):
        journey_customers(base, period_of(base, 28), Cell.parse("moved,to=gone"), loyal_days=10)


def test_visits_make_considering_and_the_list_makes_aware(open_shop):
    import pandas as pd

    at = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame(
        {"customer_id": ["vic"], "occurred_at": [at + pd.Timedelta("95D")], "event_type": "visit"}
    )
    customers = pd.DataFrame({"customer_id": ["lea", "vic", "ann"], "signed_up_at": [at] * 3})
    tables = open_shop(orders({"ann": [1, 50, 99]}), events=events, customers=customers)
    found = journey(base_of(tables), period_of(base_of(tables), 28), loyal_days=9, frictions=[])
    ends = {row["stage"]: row["at_end"] for row in found.table("stages").to_pylist()}
    assert (ends["aware"], ends["considering"]) == (1, 1)


def test_a_friction_is_worded_as_what_precedes():
    one = Friction("late delivery", 100, 0, 412, 31, 18.2, 0.17, 0.001, is_named=True)
    assert sentence(one) == (
        "A late delivery preceded 31 of 412 lapses; among customers alike 18 would be expected "
        "(1.7 [1.2, 2.4])"
    )
