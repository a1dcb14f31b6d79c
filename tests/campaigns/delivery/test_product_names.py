"""The product names in a message."""

import pyarrow as pa
import pytest

from churn.campaigns.delivery.planned import product_names
from churn.errors import DataError


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
