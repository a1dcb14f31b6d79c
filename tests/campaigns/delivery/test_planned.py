"""A plan is identified by its offers; messages name the recommended products."""

from datetime import date

import pyarrow as pa
import pytest

from churn.campaigns.delivery.planned import Planned, product_names
from churn.errors import DataError

ROW = {
    "campaign_id": "spring",
    "offer_id": "coupon",
    "channel": "email",
    "arm": "treatment",
    "expires_on": date(2024, 2, 1),
    "as_of": date(2024, 1, 1),
    "run_id": "r-1",
}


def plan(*rows, **every):
    return pa.Table.from_pylist(
        [{**ROW, "customer_id": f"c{n}", **every, **row} for n, row in enumerate(rows)]
    )


def test_a_plan_has_its_campaign_date_and_run():
    planned = Planned.read(plan({}, {}))
    assert (planned.campaign_id, planned.as_of, planned.run_id) == (
        "spring",
        date(2024, 1, 1),
        "r-1",
    )


def test_the_digest_depends_on_offers_but_not_on_order_or_run():
    first, again = Planned.read(plan({}, {})), Planned.read(plan({}, {}, run_id="r-2"))
    turned = Planned.read(plan({}, {}).take([1, 0]))
    other = Planned.read(plan({}, {"offer_id": "gift"}))
    assert first.digest == again.digest == turned.digest != other.digest


def test_customers_without_an_offer_do_not_change_the_digest():
    held_out = {"offer_id": "none", "channel": None, "expires_on": None, "arm": "holdout"}
    assert Planned.read(plan({}, held_out)).digest == Planned.read(plan({})).digest


def test_a_plan_without_rows_is_none():
    assert Planned.read(plan({}).slice(0, 0)) is None


def test_repeated_customers_and_mixed_plans_are_refused():
    with pytest.raises(DataError, match="a plan must contain every customer_id once"):
        Planned.read(plan({}, {"customer_id": "c0"}))
    with pytest.raises(DataError, match="a plan must have only one campaign_id, got 2"):
        Planned.read(plan({}, {"campaign_id": "summer"}))


def test_the_first_three_distinct_names_by_rank_are_used():
    rows = {
        "customer_id": ["anna", "anna", "anna", "anna", "anna", "ben"],
        "rank": [3, 1, 2, 4, 5, 1],
        "product_id": ["p3", "p1", "p2", "p4", "p5", "p9"],
        "name": ["Milk", "Tea", None, "Tea", "Rice", "Jam"],
    }
    names = product_names(pa.table(rows), {"anna", "cleo"})
    assert names == {"anna": ("Tea", "Milk", "Rice")}


def test_a_product_without_a_name_is_omitted():
    rows = {
        "customer_id": ["anna", "ben"],
        "rank": [1, 1],
        "product_id": ["p0250", "p1"],
        "category": ["Tea", "Tea"],
        "name": pa.array([None, "Oat milk"], pa.string()),
    }
    assert product_names(pa.table(rows), {"anna", "ben"}) == {"anna": (), "ben": ("Oat milk",)}


def test_categories_are_used_if_there_are_no_products():
    table = pa.table({"customer_id": ["anna"], "rank": [1], "category": ["Tea"]})
    assert product_names(table, ["anna"]) == {"anna": ("Tea",)}
    blank = pa.nulls(1, pa.string())
    table = table.append_column("product_id", blank).append_column("name", blank)
    assert product_names(table, ["anna"]) == {"anna": ("Tea",)}


def test_a_file_without_the_columns_is_refused():
    with pytest.raises(DataError, match="must contain customer_id, rank, and name or category"):
        product_names(pa.table({"customer_id": ["anna"]}), ["anna"])
