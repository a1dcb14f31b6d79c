"""The contract of the features: names, meanings, and one row per customer and cutoff."""

import math
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from churn.data.tables import Tables
from churn.errors import ConfigError
from churn.features.builder import build_features
from churn.features.catalogue import (
    CATALOGUE,
    REQUIRED_FAMILIES,
    Feature,
    feature,
    feature_names,
    features_over,
    sums,
)
from churn.features.clock import FeatureClock
from churn.features.status import STATUSES

VISIBLE = [one for one in CATALOGUE.values() if not one.hidden]
EVERYTHING = frozenset().union(*(one.needs for one in VISIBLE))
FAMILIES = list(dict.fromkeys(one.family for one in VISIBLE))
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
CUTOFF = date(2024, 5, 1)
WHEN = datetime(2024, 4, 2, 12, tzinfo=UTC)


def table_of(**columns: Any) -> pa.Table:
    """One row; lists give several."""
    return pa.table({n: pa.array(v if isinstance(v, list) else [v]) for n, v in columns.items()})


@pytest.fixture(scope="module")
def everything() -> Iterator[Tables]:
    """A tiny shop with every table, column and event that a feature needs."""
    events = sorted(one.removeprefix("events.") for one in EVERYTHING if one.startswith("events."))
    events += [] if events else ["visit"]
    count = len(events)
    tables = Tables.from_frames(
        table_of(
            customer_id=["anna", "anna", "ben"],
            order_id=["1", "2", "3"],
            ordered_at=[WHEN.replace(month=2), WHEN, WHEN],
            amount=[20.0, 30.0, -5.0],
            discount=[0.0, 3.0, 0.0],
            channel=["web", "shop", "web"],
            store=["7", "7", "7"],
        ),
        clock=datetime(2024, 6, 1, tzinfo=UTC),
        order_lines=table_of(
            order_id=["1", "2", "2"],
            product_id=["x", "x", "y"],
            category=["tea", "tea", "cups"],
            quantity=[1.0, 2.0, 1.0],
            amount=[20.0, 20.0, 10.0],
            discount=[0.0, 0.0, 3.0],
        ),
        customers=table_of(
            customer_id="anna", signed_up_at=WHEN.replace(month=1), acquisition_source="search"
        ),
        events=table_of(
            customer_id=["anna"] * count,
            occurred_at=[WHEN] * count,
            event_type=events,
            value=[1.0] * count,
            ref=["r"] * count,
        ),
        contacts=table_of(
            customer_id="anna", contacted_at=WHEN, campaign_id="c", offer_id="o", arm="treatment"
        ),
        redemptions=table_of(customer_id="anna", redeemed_at=WHEN, campaign_id="c", offer_id="o"),
        subscriptions=table_of(
            customer_id="anna",
            started_at=WHEN,
            expires_at=WHEN.replace(month=5),
            cancelled_at=WHEN.replace(day=20),
        ),
    )
    yield tables
    tables.engine.close()


@pytest.fixture(scope="module")
def all_features(everything: Tables) -> dict[str, dict[str, Any]]:
    return rows_of(everything, feature_names(everything.connected()))


def rows_of(tables: Tables, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    rows = build_features(tables, [CUTOFF], CLOCK, names=tuple(names))
    return {row.pop("customer_id"): row for row in tables.engine.collect(rows).to_pylist()}


def test_one_row_per_customer_and_cutoff_with_stable_names_and_finite_numbers(open_shop, tiny_shop):
    tables = open_shop(tiny_shop)
    cutoffs = [date(2024, 3, 5), date(2024, 5, 1)]
    table = tables.engine.collect(build_features(tables, cutoffs, CLOCK))
    assert table.column_names == ["customer_id", "cutoff", "status", *feature_names()]
    rows = table.to_pylist()
    assert len({(row["customer_id"], row["cutoff"]) for row in rows}) == len(rows) == 2 + 3
    for row in rows:
        assert row["status"] in STATUSES
        values = [row[name] for name in feature_names()]
        assert all(value is None or math.isfinite(value) for value in values)


def test_names_are_unique_and_come_in_one_order():
    names = feature_names(EVERYTHING)
    assert len(set(names)) == len(names) == len(VISIBLE)
    assert names == feature_names(sorted(EVERYTHING, reverse=True))


@pytest.mark.parametrize("one", VISIBLE, ids=lambda one: one.name)
def test_every_feature_says_what_it_means_in_which_unit_and_family(one: Feature):
    assert one.meaning.endswith(".")
    assert one.unit
    assert one.family
    assert one.family != "sums"


@pytest.mark.parametrize("one", CATALOGUE.values(), ids=lambda one: one.name)
def test_what_a_feature_needs_is_a_table_a_column_or_an_event_of_the_contracts(
    everything: Tables, one: Feature
):
    assert "orders" in one.needs
    assert one.needs <= everything.connected()
    assert {need.split(".")[0] for need in one.needs} <= one.needs


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_builds_alone_and_gives_what_it_gives_among_all(
    everything: Tables, all_features: dict[str, dict[str, Any]], family: str
):
    names = feature_names(everything.connected(), families=[family])
    assert {CATALOGUE[name].family for name in names} == {family, *REQUIRED_FAMILIES}
    alone = rows_of(everything, names)
    assert alone.keys() == all_features.keys() == {"anna", "ben"}
    for customer, row in alone.items():
        same = {name: all_features[customer][name] for name in row}
        for name, value in row.items():
            if value is None or isinstance(value, str):
                assert value == same[name], name
            else:
                assert value == pytest.approx(same[name], rel=1e-12, abs=1e-12), name


def test_the_required_families_are_there_whatever_is_asked_for():
    least = feature_names(EVERYTHING, families=[])
    assert {CATALOGUE[name].family for name in least} == set(REQUIRED_FAMILIES)
    assert feature_names(EVERYTHING, families=["recency"]) == least


def test_required_families_need_nothing_but_orders():
    required = [one for one in VISIBLE if one.family in REQUIRED_FAMILIES]
    assert {one.family for one in required} == set(REQUIRED_FAMILIES)
    assert all(one.needs == {"orders"} for one in required)


def test_a_family_that_nobody_declares_is_an_error_that_lists_those_there_are():
    with pytest.raises(ConfigError, match=r"'recency'.*got \['luck'\].*families = \"all\""):
        feature_names(EVERYTHING, families=["luck", "money"])


def test_what_is_not_connected_gives_no_feature():
    orders_only, all_of_them = feature_names(), feature_names(EVERYTHING)
    assert "discount_share" in all_of_them
    assert set(orders_only) < set(all_of_them)
    assert all(CATALOGUE[name].needs == {"orders"} for name in orders_only)
    assert "discount_share" in feature_names(["orders", "orders.discount"])


def test_a_column_without_its_table_is_not_enough():
    assert feature_names(["orders.discount"]) == ()


def test_what_the_shop_itself_decides_is_marked():
    """Discounts given are the shop's doing; what customers do with them is their own."""
    marked = {one.name for one in VISIBLE if one.controlled}
    assert {"discount_share", "first_discount_share", "full_price_orders"} <= marked
    assert not marked & {"recency_days", "return_share", "weekend_share", "past_lapses"}


def test_sums_that_only_features_need_are_not_features():
    hidden = [one.name for one in CATALOGUE.values() if one.hidden]
    assert hidden
    assert not set(hidden) & set(feature_names(EVERYTHING))


def test_a_name_can_be_given_only_once():
    formula = CATALOGUE["net_spend"].formula
    declare = feature(family="recency", unit="days", over="days")
    with pytest.raises(ConfigError, match="a unique name, got 'recency_days'"):
        declare(CATALOGUE["recency_days"].formula)
    with pytest.raises(ConfigError, match="a unique name, got 'net_spend'"):
        features_over("days", [("net_spend", "Again.", formula)], family="money", unit="currency")
    with pytest.raises(ConfigError, match="a unique name, got 'net_spend'"):
        sums(net_spend=formula)


def test_all_tables_connected_give_more_than_eighty_features_each_with_unit_and_meaning():
    everything = frozenset().union(*(one.needs for one in CATALOGUE.values()))
    names = feature_names(everything)
    shown = [CATALOGUE[name] for name in names if CATALOGUE[name].is_shipped]
    assert len(shown) >= 80
    assert all(one.unit and one.meaning and one.family for one in shown)


IN_A_NEW_PROCESS = """
import churn
names = churn.feature_names()
import churn.features.builder
assert names == churn.feature_names()
assert len(names) > 50
"""
TAKEN = """
import churn
@churn.feature(family="ours", unit="days", over="days")
def recency_days(clock):
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("code", "said"), [(IN_A_NEW_PROCESS, ""), (TAKEN, "a unique name, got 'recency_days'")]
)
def test_the_catalogue_is_full_for_whoever_asks_or_adds_first(code, said):
    """In a process where nothing but `churn` has been imported."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode == 0) == (said == ""), done.stderr
    assert said in done.stderr
