"""Where a customer can be reached is what the customer list says now."""

import pandas as pd
import pytest

from churn.data.people import addresses
from churn.data.tables import Tables
from churn.errors import DataError

ORDERS = pd.DataFrame(
    {"customer_id": ["ann"], "ordered_at": pd.to_datetime(["2024-01-01"]), "amount": [1.0]}
)


def tables(engine="duckdb", **others):
    return Tables.from_frames(ORDERS, engine=engine, **others)


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_one_row_a_customer_and_an_empty_word_is_none(engine):
    listed = pd.DataFrame(
        {"customer_id": ["ann", "ann", "bob"], "email": ["", "a@x.org", ""]}, dtype="str"
    )
    assert addresses(tables(engine, customers=listed)).to_pylist() == [
        {"customer_id": "ann", "email": "a@x.org", "phone": None},
        {"customer_id": "bob", "email": None, "phone": None},
    ]


def test_a_list_without_addresses_or_no_list_at_all_is_refused():
    with pytest.raises(DataError, match=r"requires the column email or phone .* got no such table"):
        addresses(tables())
    with pytest.raises(DataError, match=r"got \['customer_id'.*Connect \[data\.customers\]"):
        addresses(tables(customers=pd.DataFrame({"customer_id": ["ann"], "region": ["n"]})))
