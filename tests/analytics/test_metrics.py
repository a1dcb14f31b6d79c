"""Retention metrics: exact values of real shops, balances in every split, numbers by hand."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.analytics.cells import Cell
from churn.analytics.costs import CostRules
from churn.analytics.customer_base import CustomerBase
from churn.analytics.docs import page
from churn.analytics.metric_cells import metric_customers
from churn.analytics.metric_sums import metric_sums
from churn.analytics.metrics import metrics
from churn.analytics.segment_history import SegmentRule
from churn.analytics.segmentation import Segmentation, segment_base
from churn.analytics.segments import SegmentBounds
from churn.analytics.splits import SPLITS, chosen_splits
from churn.data.days import day_number
from churn.data.tables import Tables
from churn.errors import ConfigError
from churn.features.clock import FeatureClock

ROOT = Path(__file__).parents[2]
RETAIL = ROOT.parent / "shared/data/online_retail_ii/online_retail_ii.parquet"
START = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def retail() -> Tables:
    """Online Retail II; a purchase is a customer's day with a net amount above zero."""
    if not RETAIL.exists():
        pytest.skip("needs ../shared/data/online_retail_ii")
    orders = duckdb.sql(
        "SELECT CAST(CustomerID AS VARCHAR) AS customer_id, CAST(InvoiceDate AS DATE) AS "
        f"ordered_at, sum(Quantity * UnitPrice) AS amount FROM '{RETAIL}' "
        "WHERE CustomerID IS NOT NULL GROUP BY 1, 2"
    ).to_arrow_table()
    return Tables.from_frames(orders, currency="GBP")


def by_period(found):
    return {row["period"]: row for row in found.table().to_pylist() if row["split"] == "all"}


BALANCE = ("active_at_start", "active_at_end", "new", "won_back")


def test_the_quarters_of_online_retail(retail):
    expected = {
        "2010-09-01": (1931, 2872, 943, 601, 68.77),
        "2010-12-01": (2872, 1678, 271, 200, 42.03),
        "2011-09-01": (1917, 2838, 600, 932, 68.13),
    }
    ends = {"2010-09-01": "2010-12-01", "2010-12-01": "2011-03-01", "2011-09-01": "2011-12-01"}
    for start, (*counts, kept) in expected.items():
        days = (date.fromisoformat(ends[start]) - date.fromisoformat(start)).days
        found = metrics(retail, active_days=90, as_of=ends[start], period=str(days))
        row = by_period(found)[start]
        assert [row[name] for name in BALANCE] == counts
        assert round(row["retention_rate_percent"], 2) == kept


def test_the_novembers_of_online_retail(retail):
    rows = by_period(metrics(retail, active_days=90, period="month"))
    november = rows["2011-11"]
    names = (*("active_at_start", "kept", "lost", "new", "won_back"), "active_at_end")
    assert [november[name] for name in names] == [2459, 2230, 229, 191, 417, 2838]
    for row, rate in ((november, 90.7), (rows["2010-11"], 90.6)):
        low, high = row["retention_rate_percent_low"], row["retention_rate_percent_high"]
        assert round(row["retention_rate_percent"], 1) == rate
        assert round((high - low) / 2, 1) == 1.1
    assert round(november["retention_rate_last_year_percent"], 1) == 90.6
    assert rows["2011-12"]["is_partial"]
    assert rows["2011-12"]["retention_rate_last_year_percent"] is None
    assert rows["2009-12"]["is_truncated"]
    assert rows["2009-12"]["new"] is None


def order(name, day, amount=10.0, **more):
    return {
        "customer_id": name,
        "ordered_at": START + timedelta(days=day),
        "amount": amount,
        **more,
    }


def customers(**regions):
    return pa.table(
        {
            "customer_id": list(regions),
            "region": list(regions.values()),
            "acquisition_source": ["ads" if n % 2 else None for n in range(len(regions))],
            "loyalty_tier": ["gold" if n % 3 else None for n in range(len(regions))],
        }
    )


CLOCK = FeatureClock(horizon_days=28, lookback_days=30, min_tenure_days=7)
BOUNDS = SegmentBounds(purchase_days=(2, 3, 4, 6), net_spend=(9, 14, 20, 30), customers=4)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cyd", "dan"]),
        st.integers(0, 140),
        st.sampled_from([9.0, 5.0, 0.0, -4.0]),
        st.sampled_from(["web", "shop", None]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=6)
@given(ORDERS, st.integers(1, 70), st.sampled_from(["month", "28", "10"]))
def test_the_balance_holds_in_every_cell_of_every_split(open_shop, orders, active_days, period):
    rows = [order(name, day, amount, channel=channel) for name, day, amount, channel in orders]
    redeemed = [START + timedelta(days=day) for day in (5, 40)]
    tables = open_shop(
        rows,
        customers=customers(ann="north", bob="north", cyd=None, dan="south"),
        redemptions=pa.table({"customer_id": ["ann", "bob"], "redeemed_at": redeemed}),
        least_match=0.0,
    )
    found = metrics(
        tables,
        active_days=active_days,
        as_of=tables.limit(),
        period=period,
        by=list(SPLITS),
        value_days=None,
        frozen=Segmentation(BOUNDS),
        clock=CLOCK,
    ).table()
    sums = {}
    for row in found.to_pylist():
        assert row["active_at_start"] == row["kept"] + row["lost"]
        assert row["active_at_end"] == row["kept"] + row["arrived"]
        assert row["is_truncated"] or row["arrived"] == row["new"] + row["won_back"]
        for name in ("active_at_start", "kept", "lost", "arrived", "active_at_end", "orders"):
            key = row["split"], row["period"], name
            sums[key] = sums.get(key, 0) + row[name]
    for (_, label, name), total in sums.items():
        assert total == sums["all", label, name]
    for name in ("kept", "active_at_end"):
        last = [row for row in found.to_pylist() if row["split"] == "all"][-1]
        cell = Cell(name, {"period": last["period"]})
        listed = metric_customers(
            tables, cell, active_days=active_days, as_of=tables.limit(), period=period
        )
        assert listed.num_rows == last[name]


def test_numbers_by_hand(open_shop):
    """Periods of 10 days, active within 20: ann buys in each, bob leaves, cyd comes back."""
    rows = [
        *(order("ann", day) for day in (2, 12, 22, 32, 42)),
        order("bob", 3, 40.0),
        order("cyd", 1, 30.0),
        *(order("cyd", 41, 6.0), order("cyd", 43, -2.0)),
        order("dan", 44, 8.0),
        *(order("eve", 24, 20.0), order("eve", 38, 10.0)),
        order("zed", 49, 0.0),  # no purchase; the data reaches this day
    ]
    found = metrics(open_shop(rows), active_days=20, as_of="2024-02-20", period="10")
    last = by_period(found)["2024-02-10"]  # from day 40 to day 50
    expected = {
        "active_at_start": 2,
        "kept": 2,
        "lost": 0,
        "new": 1,
        "won_back": 1,
        "active_at_end": 4,
        "retention_rate_percent": 100.0,
        "churn_rate_percent": 0.0,
        "buyers": 3,
        "orders": 3,
        "gross_revenue": 24.0,
        "refunds": 2.0,
        "net_revenue": 22.0,
        "average_order_value": 8.0,
        "purchase_frequency": 1.0,
        "repeat_purchase_rate_percent": 25.0,  # ann: days 32 and 42
        "revenue_before": 20.0,  # ann 10 and eve 10 in days 30 to 40
        "net_revenue_retention_percent": 50.0,
        "gross_revenue_retention_percent": 50.0,
        "customers": 5,
        "late_orders": 0,
    }
    assert {name: last[name] for name in expected} == expected
    assert last["realised_value"] == pytest.approx(0.3 * (50 + 40 + 34 + 8 + 30) / 5)
    assert last["days_between_purchases_median"] == 10  # ann's gap; the others are open
    assert (last["purchase_gaps"], last["purchase_gaps_ended"]) == (5, 1)
    assert last["redeemers"] is None
    assert last["retention_cost"] is None


def segment_rows_of(tables, **more):
    options = {"active_days": 30, "period": "28", "value_days": None, **more}
    found = metrics(
        tables, by=["segment"], frozen=Segmentation(BOUNDS), clock=CLOCK, **options
    ).table()
    return [row for row in found.to_pylist() if row["split"] == "segment"]


def test_a_segment_is_that_of_churn_segments_at_the_start_of_the_period(open_shop):
    """Also of customers who only returned something, and of a minimum tenure."""
    rows = [order(f"c{n}", day, 3.0 + n) for n in range(12) for day in range(n, 112, 3 * n + 5)]
    rows += [order("zoe", 70, -5.0), order("zed", 111, 1.0), order("fay", 50), order("fay", 79)]
    rows += [order("eve", day) for day in (30, 51, 55, 82)]
    tables = open_shop(rows)
    shown = segment_rows_of(tables, as_of="2024-04-22")
    assert {row["start"] for row in shown} > {date(2024, 2, 26), date(2024, 3, 25)}
    for start in (date(2024, 2, 26), date(2024, 3, 25)):
        found, _ = segment_base(
            tables, start, date(2024, 1, 29), CLOCK, frozen=Segmentation(BOUNDS, None, None)
        )
        active = {row["segment"]: row["active"] for row in found.table().to_pylist()}
        cells = {
            row["value"]: row["active_at_start"]
            for row in shown
            if row["start"] == start and row["active_at_start"]
        }
        assert cells == {name: count for name, count in active.items() if count}
        assert len(cells) > 2


def test_a_segment_does_not_see_what_follows_and_can_be_listed(open_shop):
    """Ann buys most after the period began; the cell is that of before."""
    rows = [order("ann", 20), *(order("ann", 30 + day, 99.0) for day in range(0, 20, 2))]
    rows += [order("bob", day) for day in (3, 10, 17, 24, 40)]
    rows += [order("cyd", 35), order("zed", 55, 0.0)]
    tables = open_shop(rows)
    shown = segment_rows_of(tables, as_of="2024-02-26")
    last = {row["value"]: row for row in shown if row["start"] == date(2024, 1, 29)}
    assert last["one-time"]["kept"] == 1  # ann
    assert last["not a customer"]["arrived"] == 1  # cyd
    assert last["best"]["active_at_start"] == 1  # bob
    assert {row["retention_rate_last_year_percent"] for row in shown} == {None}
    options = {"active_days": 30, "as_of": "2024-02-26", "segments": SegmentRule(BOUNDS, CLOCK)}
    cell = "kept,period=2024-01-29,segment=one-time"
    assert metric_customers(tables, cell, **options)["customer_id"].to_pylist() == ["ann"]
    with pytest.raises(ConfigError, match=r"segment must be one of best, loyal"):
        metric_customers(tables, "kept,segment=golden", **options)


def test_costs_are_divided_by_those_they_were_spent_on(open_shop):
    rows = [order(name, day) for name in ("ann", "bob") for day in (2, 15, 25, 35)]
    rows += [order("cyd", 33), order("zed", 39, 0.0)]
    costs = pa.table(
        {
            "date": [START + timedelta(days=day) for day in (31, 34, 36, 12)],
            "category": ["Retention", "search ads", "rent", "retention"],
            "amount": [12.0, 8.0, 100.0, 5.0],
        }
    )
    found = metrics(
        open_shop(rows, costs=costs),
        active_days=20,
        as_of="2024-02-10",
        period="10",
        costs=CostRules(acquisition=["search ads"]),
        campaigns=[(date(2024, 2, 2), 3.0)],
    )
    row = by_period(found)["2024-01-31"]
    assert row["retention_cost"] == 15.0
    assert row["retention_cost_per_customer"] == 15.0 / 3
    assert row["acquisition_cost_per_customer"] == 8.0
    assert any("'rent' (100.00)" in note for note in found.notes)


def test_a_past_period_is_unchanged_or_tells_of_its_late_orders(open_shop):
    """Without the late orders everything is as it was reported at the period's end."""
    at = {"loaded_at": START + timedelta(days=0)}
    rows = []
    for day in (2, 12, 22, 32, 42):
        at = {"loaded_at": START + timedelta(days=day, hours=1)}
        rows += [order(name, day, order_id=f"{name}{day}", **at) for name in ("ann", "bob")]
    late = {"loaded_at": START + timedelta(days=37)}
    lates = [order("cyd", 22 + n, order_id=f"late{n}", **late) for n in range(3)]
    names = ("customer_id", "ordered_at", "amount", "order_id", "loaded_at")
    options = {"active_days": 15, "period": "10"}
    reported = by_period(metrics(open_shop(rows, names), as_of="2024-01-31", **options))
    again = metrics(open_shop(rows + lates, names), as_of="2024-02-10", **options)
    now = by_period(again)
    assert now["2024-01-11"] == reported["2024-01-11"]
    assert now["2024-01-21"]["late_orders"] == 3
    assert now["2024-01-21"]["active_at_end"] == reported["2024-01-21"]["active_at_end"] + 1
    shown = [cell for table in again.displays for row in table.rows for cell in row]
    assert "changed: 3 late orders" in shown


def test_a_corrected_order_counts_once_as_late(open_shop):
    rows = [
        order("ann", 2, 10.0, order_id="a", loaded_at=START + timedelta(days=3)),
        order("ann", 2, 12.0, order_id="a", loaded_at=START + timedelta(days=30)),
        order("bob", 35, 5.0, order_id="b", loaded_at=START + timedelta(days=35)),
    ]
    names = ("customer_id", "ordered_at", "amount", "order_id", "loaded_at")
    found = by_period(
        metrics(open_shop(rows, names), active_days=5, as_of="2024-02-06", period="10")
    )
    assert {row["late_orders"] for row in found.values() if str(row["end"]) < "2024-01-31"} == {1}


def test_every_number_has_its_definition_and_a_row_in_the_page():
    text = (ROOT / "docs/retention.md").read_text(encoding="utf-8")
    assert text == page() + "\n", "run `make docs`"


def test_every_column_that_is_a_number_is_defined(open_shop):
    found = metrics(open_shop([order("ann", day) for day in (1, 40)]), active_days=10)
    known = {"split", "value", "period", "start", "end", "is_partial", "is_truncated"}
    known |= {"horizon_days", *found.definitions}
    for table in found.tables.values():
        bare = {name.removesuffix("_low").removesuffix("_high") for name in table.column_names}
        assert bare <= known
    assert found.to_dict()["definitions"]["kept"]["unit"] == "customers"


def test_what_cannot_be_split_or_listed_is_refused(open_shop):
    tables = open_shop([order("ann", day) for day in (1, 40)])
    with pytest.raises(ConfigError, match=r"split by region needs customers\.region"):
        metrics(tables, active_days=10, by=["region"])
    with pytest.raises(ConfigError, match=r"can be split by channel"):
        metrics(tables, active_days=10, by=["colour"])
    with pytest.raises(ConfigError, match=r"needs frozen segments and the clock.*Pass frozen"):
        metrics(tables, active_days=10, by=["segment"])
    with pytest.raises(ConfigError, match=r"options of metrics are period"):
        metrics(tables, active_days=10, colour="red")
    with pytest.raises(ConfigError, match=r"period must be one of 2024-01 to 2024-02, got 2031"):
        metric_customers(tables, "lost,period=2031", active_days=10, period="month")
    with pytest.raises(ConfigError, match=r"List arrived"):
        metric_customers(tables, "new,period=2024-01", active_days=10, period="month")


@pytest.mark.parametrize("engine", ["polars", "spark"])
def test_every_engine_counts_the_same(open_shop, engine):
    rows = [order(f"c{n % 7}", 5 * n % 120, 0.1 * n, channel="ab"[n % 2]) for n in range(60)]
    bounds = [day_number(date(2024, month, 1)) for month in (1, 2, 3, 4)]

    def sums(tables):
        base = CustomerBase.of(tables, active_days=20)
        splits = chosen_splits(["channel", "segment"], tables, SegmentRule(BOUNDS, CLOCK))
        return metric_sums(base, bounds, splits, margin_rate=0.3, redemptions=False).to_pylist()

    assert sums(open_shop(rows, engine=engine)) == sums(open_shop(rows))
