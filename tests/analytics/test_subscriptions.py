"""Subscriptions kept, lost and won, and recurring revenue, by hand and as identities."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.analytics.metric_cells import metric_customers
from churn.analytics.metrics import metrics
from churn.errors import ConfigError

START = datetime(2024, 1, 1, tzinfo=UTC)
MONTH = 30.4375


def terms(rows):
    """Rows of customer, first day, last day and price per month; None: without an end."""
    at = [(name, START + timedelta(days=a), b, price) for name, a, b, price in rows]
    return pa.table(
        {
            "customer_id": [row[0] for row in at],
            "started_at": [row[1] for row in at],
            "expires_at": pa.array(
                [None if row[2] is None else START + timedelta(days=row[2]) for row in at],
                pa.timestamp("us", "UTC"),
            ),
            "amount": pa.array(
                [
                    None if price is None else price * (1.0 if b is None else (b - a) / MONTH)
                    for _, a, b, price in rows
                ],
                pa.float64(),
            ),
        }
    )


def orders(*days):
    return [
        {"customer_id": "ann", "ordered_at": START + timedelta(days=day), "amount": 5.0}
        for day in days
    ]


ROWS = [
    *(("ann", 0, 30, 10.0), ("ann", 33, 63, 14.0)),  # renewed in time, for more
    ("bob", 0, 30, 8.0),  # lost
    *(("cyd", 0, 20, 5.0), ("cyd", 45, 75, 6.0)),  # lost before day 31, won back after it
    ("dan", 40, None, 7.0),  # new, without an end
    *(("eve", 0, 31, 9.0), ("eve", 31, 91, 4.0)),  # for less
    ("fay", 50, 80, None),  # new, without a price
]


def test_a_month_by_hand(open_shop):
    tables = open_shop(orders(1, 70), subscriptions=terms(ROWS), least_match=0.0)
    found = metrics(
        tables, active_days=30, as_of="2024-03-01", period="month", grace_days=7, value_days=None
    )
    (row,) = [row for row in found.table("subscriptions").to_pylist() if row["period"] == "2024-02"]
    expected = {
        "subscribers_at_start": 3,  # ann and bob in grace, eve
        "subscribers_kept": 2,
        "subscribers_lost": 1,
        "subscribers_new": 2,
        "subscribers_won_back": 1,
        "subscribers_at_end": 5,
        "unpriced_subscribers": 1,
    }
    assert {name: row[name] for name in expected} == expected
    money = {
        "mrr_at_start": 10 + 8 + 9,
        "mrr_lost": 8,
        "mrr_contraction": 5,
        "mrr_expansion": 4,
        "mrr_won": 6 + 7,
        "mrr_at_end": 14 + 4 + 6 + 7,
        "gross_mrr_retention_percent": 100 * 14 / 27,
        "net_mrr_retention_percent": 100 * 18 / 27,
    }
    assert {name: row[name] for name in money} == pytest.approx(money, abs=1e-4)
    shown = {table.title for table in found.displays}
    assert "Subscriptions and monthly recurring revenue (MRR, USD)" in shown
    cell = "subscribers_lost,period=2024-02"
    listed = metric_customers(tables, cell, active_days=30, as_of="2024-03-01", period="month")
    assert listed["customer_id"].to_pylist() == ["bob"]


TERM = st.tuples(
    st.sampled_from(["ann", "bob", "cyd"]),
    st.integers(0, 80),
    st.one_of(st.none(), st.integers(1, 60)),
    st.one_of(st.none(), st.floats(1, 99)),
)


@settings(max_examples=8)
@given(st.lists(TERM, min_size=1, max_size=8, unique_by=lambda term: term[:2]))
def test_recurring_revenue_adds_up(open_shop, found):
    rows = [(name, a, None if b is None else a + b, price) for name, a, b, price in found]
    tables = open_shop(orders(1, 100), subscriptions=terms(rows), least_match=0.0)
    table = metrics(tables, active_days=30, period="month", value_days=None).table("subscriptions")
    ends = None
    for row in table.to_pylist():
        kept, lost = row["subscribers_kept"], row["subscribers_lost"]
        assert row["subscribers_at_start"] == kept + lost
        arrived = row["subscribers_new"] + row["subscribers_won_back"]
        assert row["subscribers_at_end"] == kept + arrived
        changes = row["mrr_expansion"] + row["mrr_won"] - row["mrr_lost"] - row["mrr_contraction"]
        assert row["mrr_at_end"] == pytest.approx(row["mrr_at_start"] + changes, abs=1e-5)
        if ends is not None:
            assert (row["subscribers_at_start"], row["mrr_at_start"]) == ends
        ends = (row["subscribers_at_end"], row["mrr_at_end"])


def test_without_prices_there_is_no_recurring_revenue(open_shop):
    bare = terms(ROWS).drop_columns(["amount"])
    tables = open_shop(orders(1, 70), subscriptions=bare, least_match=0.0)
    found = metrics(tables, active_days=30, period="month", value_days=None)
    assert set(found.table("subscriptions")["mrr_at_end"].to_pylist()) == {None}
    assert found.table("subscriptions")["subscribers_at_end"].to_pylist()[-1] > 0


def test_lists_of_subscribers_need_their_table(open_shop):
    with pytest.raises(ConfigError, match=r"subscribers_lost needs the table of subscriptions"):
        metric_customers(open_shop(orders(1, 70)), "subscribers_lost", active_days=30)
