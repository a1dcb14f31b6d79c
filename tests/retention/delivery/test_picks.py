"""The products that a message names."""

import pyarrow as pa
import pytest

from churn.errors import DataError
from churn.retention.delivery.picks import picks


def test_the_first_three_by_rank_are_told_by_their_name_or_else_by_their_id():
    rows = {
        "customer_id": ["anna", "anna", "anna", "anna", "anna", "ben"],
        "rank": [3, 1, 2, 4, 5, 1],
        "product_id": ["p3", "p1", "p2", "p4", "p5", "p9"],
        "name": ["Milk", "Tea", None, "Tea", "Rice", None],
    }
    found = picks(pa.table(rows), {"anna", "cleo"})
    assert found == {"anna": ("Tea", "p2", "Milk")}


def test_categories_do_where_there_are_no_products():
    table = pa.table({"customer_id": ["anna"], "rank": [1], "category": ["Tea"]})
    assert picks(table, ["anna"]) == {"anna": ("Tea",)}


def test_a_file_of_something_else_is_told():
    with pytest.raises(DataError, match="must hold customer_id, rank, and name, product_id or"):
        picks(pa.table({"customer_id": ["anna"]}), ["anna"])
