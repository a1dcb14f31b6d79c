"""Features of order lines: equal to plain loops, blind to the future, and as said by hand."""

import importlib.util
import math
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from churn.data.days import day_number
from churn.data.tables import Tables
from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE
from churn.features.clock import FeatureClock

ORACLE = importlib.util.spec_from_file_location(
    "oracle_lines", Path(__file__).with_name("oracle_lines.py")
)
oracle = importlib.util.module_from_spec(ORACLE)
ORACLE.loader.exec_module(oracle)

FAMILIES = ("basket", "products", "categories")
NAMES = tuple(one.name for one in CATALOGUE.values() if one.family in FAMILIES)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
CUTOFF = date(2024, 3, 20)
CUTOFFS = (CUTOFF, CUTOFF - timedelta(days=1), CUTOFF - timedelta(days=91))
ORDER = {"customer_id": "text", "order_id": "text", "ordered_at": "time", "amount": "number"}
LINE = {
    "order_id": "text",
    "product_id": "text",
    "category": "text",
    "quantity": "number",
    "amount": "number",
    "discount": "number",
}
TYPES = {"text": pa.string(), "number": pa.float64(), "time": pa.timestamp("us", "UTC")}

Row = dict[str, Any]

generous = settings(
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=25,
    phases=[phase for phase in Phase if phase is not Phase.explain],
)


def table_of(rows: list[Row], columns: dict[str, str]) -> pa.Table:
    kinds = columns | ({"loaded_at": "time"} if any("loaded_at" in row for row in rows) else {})
    return pa.table(
        {name: pa.array([row[name] for row in rows], TYPES[kinds[name]]) for name in kinds}
    )


def shop_of(orders: list[Row], lines: list[Row], *, zone: str = "UTC") -> Tables:
    return Tables.from_frames(
        table_of(orders, ORDER),
        order_lines=table_of(lines, LINE),
        day_timezone=zone,
        bad_row_limit=1.0,
        least_match=0.0,
        clock=datetime(2024, 12, 1, tzinfo=UTC),
    )


def built(tables: Tables, *cutoffs: date, names: tuple[str, ...] = NAMES) -> dict[Any, Row]:
    table = tables.engine.collect(build_features(tables, cutoffs, CLOCK, names=names))
    return {
        (row["customer_id"], row["cutoff"]): {name: row[name] for name in names}
        for row in table.to_pylist()
    }


def assert_same(found: dict[Any, Row], expected: dict[Any, Row]) -> None:
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert row.keys() == expected[key].keys()
        for name, value in row.items():
            other = expected[key][name]
            same = value is other is None or (
                None not in (value, other)
                and math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9)
            )
            assert same, (key, name, value, other)


def begin(zone: str = "UTC") -> datetime:
    return datetime.combine(CUTOFF, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


@st.composite
def a_shop(draw: st.DrawFn) -> tuple[str, list[Row], list[Row]]:
    """Zone, orders (perhaps in versions) and lines (perhaps late, some of no order)."""
    zone = draw(st.sampled_from(["UTC", "America/New_York"]))
    dated, lines_dated = draw(st.booleans()), draw(st.booleans())
    moment = st.one_of(
        st.sampled_from([-182, -181, -91, -90, -1, 0, 1]).map(lambda day: 24 * day),
        st.integers(-250 * 24, 30 * 24),
    ).map(lambda hours: begin(zone) + timedelta(hours=hours))
    money = st.one_of(st.sampled_from([0.0, -3.0]), st.integers(1, 4000).map(lambda c: c / 100))
    version = {"ordered_at": moment, "amount": money}
    if dated:
        version["loaded_at"] = moment
    line = {
        "order_id": st.sampled_from([str(n) for n in range(9)]),
        "product_id": st.sampled_from("pqrs"),
        "category": st.sampled_from(["food", "garden", "", None]),
        "quantity": st.sampled_from([-1.0, 0.0, 1.0, 2.5, 999.0, 1_000.0]),
        "amount": money,
        "discount": st.sampled_from([None, -1.0, 0.0, 0.5, 2.0]),
    }
    if lines_dated:
        line["loaded_at"] = moment
    versions = st.lists(
        st.fixed_dictionaries(version),
        min_size=1,
        max_size=3 if dated else 1,
        unique_by=lambda one: one.get("loaded_at"),
    )
    whose = st.tuples(st.sampled_from("abc"), versions)  # another customer is another order
    orders = [
        {"order_id": str(number), "customer_id": name} | one
        for number, (name, some) in enumerate(draw(st.lists(whose, min_size=1, max_size=8)))
        for one in some
    ]
    return zone, orders, draw(st.lists(st.fixed_dictionaries(line), max_size=40))


@generous
@given(a_shop())
def test_every_feature_of_lines_equals_plain_arithmetic(shop):
    zone, orders, lines = shop
    expected = {
        (name, day_number(cutoff)): values
        for cutoff in CUTOFFS
        for name, values in oracle.line_features_of(orders, lines, cutoff, zone=zone).items()
    }
    empty_as_said = {name: CATALOGUE[name].empty for name in NAMES}
    for values in expected.values():
        assert tuple(sorted(values)) == tuple(sorted(NAMES)), "the oracle must know every feature"
        if not values["category_breadth"]:
            values.update(empty_as_said)
    assert_same(built(shop_of(orders, lines, zone=zone), *CUTOFFS), expected)


@settings(generous, max_examples=15)
@given(a_shop(), st.data())
def test_features_of_lines_ignore_everything_at_or_after_the_cutoff(shop, data):
    """Orders and lines that happen, or arrive, later may be changed and deleted."""
    zone, orders, lines = shop
    past = [row for row in orders if row.get("loaded_at", row["ordered_at"]) < begin(zone)]
    known = [row for row in lines if row.get("loaded_at", begin(zone) - timedelta(1)) < begin(zone)]
    if not past:
        return
    kept = {row["order_id"] for row in past if row["ordered_at"] < begin(zone)}
    changed = [
        row if row["order_id"] in kept else row | {"amount": data.draw(st.floats(1, 99))}
        for row in known
    ]
    with_future = built(shop_of(orders, lines, zone=zone), CUTOFF)
    assert_same(with_future, built(shop_of(past, changed, zone=zone), CUTOFF))


def order(number: int, days_ago: int, amount: float = 10.0, **more: Any) -> Row:
    at = begin() - timedelta(days=days_ago)
    row = {"customer_id": "anna", "order_id": str(number), "ordered_at": at, "amount": amount}
    return row | more


def line(number: int, product: str, category: str | None, amount: float, **more: Any) -> Row:
    row = {"order_id": str(number), "product_id": product, "category": category}
    return row | {"quantity": 1.0, "amount": amount, "discount": None} | more


def the_row(orders: list[Row], lines: list[Row]) -> Row:
    (row,) = built(shop_of(orders, lines), CUTOFF).values()
    return row


def test_a_basket_then_and_a_basket_now():
    """100 days ago a loaf and a rake for 10 each; 10 days ago the loaf again, and two jars."""
    orders = [order(1, 100), order(2, 10)]
    lines = [
        line(1, "loaf", "food", 10.0),
        line(1, "rake", "garden", 10.0),
        line(2, "loaf", "food", 10.0, discount=10.0),
        line(2, "jar", "food", 10.0, quantity=2.0),
    ]
    row = the_row(orders, lines)
    assert (row["lines_per_basket"], row["lines_per_basket_trend_90d"]) == (2, 1)
    assert row["units_per_basket"] == 2.5
    assert (row["distinct_products"], row["repeat_product_share"]) == (3, 0.25)
    assert row["new_product_share_90d"] == 0.5
    assert (row["discounted_line_share"], row["line_discount_share"]) == (0.25, 0.2)
    assert (row["category_breadth"], row["category_breadth_90d"]) == (2, 1)
    assert (row["new_categories_90d"], row["newest_category_age_days"]) == (0, 100)
    assert (row["mean_category_gap_days"], row["top_category_share"]) == (90, 0.75)
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert row["category_entropy"] == pytest.approx(entropy)
    assert row["category_entropy_change_90d"] == pytest.approx(entropy - math.log(2))
    assert row["typical_unit_price"] == pytest.approx((10**3 * 5) ** 0.25)
    assert row["price_level_90d"] == pytest.approx((10 * 5) ** 0.5 / (10**3 * 5) ** 0.25)


def test_a_quantity_of_a_thousand_or_more_is_a_measure_and_counts_as_one_unit():
    """Two litres of milk, and fuel by the thousandth of a gallon."""
    lines = [
        line(1, "milk", "food", 3.0, quantity=2.0),
        line(1, "fuel", "fuel", 25.0, quantity=10_296.0),
    ]
    row = the_row([order(1, 10)], lines)
    assert row["units_per_basket"] == 3
    assert row["typical_unit_price"] == pytest.approx((1.5 * 25.0) ** 0.5)


def test_the_ninetieth_day_is_recent_and_the_one_before_is_not():
    orders = [order(1, 91), order(2, 90)]
    row = the_row(orders, [line(1, "p", "food", 1.0), line(2, "q", "garden", 1.0)])
    assert (row["category_breadth_90d"], row["new_categories_90d"]) == (1, 1)
    assert row["new_product_share_90d"] == 1


def test_returned_and_free_lines_count_for_nothing():
    usual = [line(1, "p", "food", 5.0)]
    odd = [line(1, "q", "garden", -5.0), line(1, "r", "toys", 0.0)]
    assert the_row([order(1, 5)], usual + odd) == the_row([order(1, 5)], usual)


def test_lines_without_a_category_are_one_category_of_their_own():
    row = the_row([order(1, 5)], [line(1, "p", None, 5.0), line(1, "q", None, 5.0)])
    assert (row["category_breadth"], row["category_entropy"]) == (1, 0)
    assert row["top_category_share"] == 1


def test_one_category_forever_has_no_entropy_and_no_rounding_below_zero():
    orders = [order(number, 3 * number) for number in range(1, 30)]
    lines = [line(number, "p", "food", 0.1 * number) for number in range(1, 30)]
    row = the_row(orders, lines)
    assert row["category_entropy"] == pytest.approx(0.0, abs=1e-12)
    assert row["category_entropy"] >= 0


def test_who_bought_no_line_has_counts_of_zero_and_no_shares():
    row = the_row([order(1, 5)], [line(7, "p", "food", 5.0)])
    counts = {name: value for name, value in row.items() if value is not None}
    assert counts == {
        "distinct_products": 0,
        "category_breadth": 0,
        "category_breadth_90d": 0,
        "new_categories_90d": 0,
    }


def test_a_corrected_order_keeps_its_lines_and_moves_them_with_it():
    versions = [
        order(1, 50, loaded_at=begin() - timedelta(days=49)),
        order(1, 40, loaded_at=begin() - timedelta(days=9)),
    ]
    tables = shop_of(versions, [line(1, "p", "food", 5.0)])
    found = built(tables, CUTOFF - timedelta(days=10), CUTOFF)
    assert [row["newest_category_age_days"] for _, row in sorted(found.items())] == [40, 40]
    assert [row["distinct_products"] for row in found.values()] == [1, 1]


def test_a_line_that_arrives_late_counts_from_the_cutoff_after():
    lines = [
        line(1, "p", "food", 5.0, loaded_at=begin() - timedelta(days=5)),
        line(1, "q", "food", 5.0, loaded_at=begin()),
    ]
    tables = shop_of([order(1, 5)], lines)
    today, tomorrow = (
        built(tables, cutoff)["anna", day_number(cutoff)]
        for cutoff in (CUTOFF, CUTOFF + timedelta(days=1))
    )
    assert (today["distinct_products"], tomorrow["distinct_products"]) == (1, 2)


def test_a_file_of_lines_gives_the_same_features_as_orders_with_lines_beside():
    orders = [order(1, 100, 20.0), order(2, 10, 20.0)]
    lines = [line(1, "p", "food", 20.0), line(2, "q", None, 15.0), line(2, "p", "food", 5.0)]
    of = {row["order_id"]: row for row in orders}
    flat = [of[row["order_id"]] | row for row in lines]
    together = Tables.from_frames(
        table_of(flat, ORDER | LINE), grain="line", clock=datetime(2024, 6, 1, tzinfo=UTC)
    )
    assert_same(built(together, CUTOFF), built(shop_of(orders, lines), CUTOFF))


@pytest.mark.parametrize("column", ["category", "discount"])
def test_a_column_that_is_not_connected_takes_its_features_and_leaves_the_rest(column):
    orders, lines = [order(1, 100), order(2, 10)], [line(1, "p", "food", 5.0)]
    fewer = table_of(lines, LINE).drop_columns([column])
    tables = Tables.from_frames(
        table_of(orders, ORDER), order_lines=fewer, clock=datetime(2024, 6, 1, tzinfo=UTC)
    )
    left = tuple(n for n in NAMES if f"order_lines.{column}" not in CATALOGUE[n].needs)
    assert set(left) == {n for n in NAMES if CATALOGUE[n].needs <= tables.connected()} < set(NAMES)
    (whole,) = built(shop_of(orders, lines), CUTOFF, names=left).values()
    (found,) = built(tables, CUTOFF, names=left).values()
    assert found == pytest.approx(whole)
