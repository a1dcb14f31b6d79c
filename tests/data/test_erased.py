"""The erased are in no table, as if the shop had never exported them."""

from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.erased import without_erased
from churn.data.tables import Tables
from churn.errors import DataError
from churn.storage.erasures import Erased, hashed

KEY = b"0123456789abcdef0123456789abcdef"
CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
NAMES = ["anna", "ben", "cleo", "007", "7"]


def erased(*names):
    return Erased(KEY, {hashed(KEY, name): date(2024, 5, 1) for name in names})


def shop(names=NAMES):
    """Two orders of each customer with two lines each, and a row in every other table."""
    frame = pd.DataFrame({"customer_id": names})
    at = pd.Timestamp("2024-03-01", tz="UTC")
    orders = pd.concat([frame.assign(order_id=frame["customer_id"] + n) for n in "ab"])
    lines = pd.concat([orders[["order_id"]].assign(product_id=p, amount=5.0) for p in "xy"])
    return {
        "orders": orders.assign(ordered_at=at, amount=10.0),
        "order_lines": lines.assign(quantity=1.0),
        "customers": frame.assign(email=frame["customer_id"] + "@example.com"),
        "events": frame.assign(occurred_at=at, event_type="visit"),
        "contacts": frame.assign(contacted_at=at, campaign_id="spring"),
        "redemptions": frame.assign(redeemed_at=at),
        "consents": frame.assign(channel="email", purpose="ads", granted=True, changed_at=at),
        "costs": pd.DataFrame({"date": [at], "category": ["rent"], "amount": [1.0]}),
        "subscriptions": frame.assign(started_at=at, expires_at=at + pd.Timedelta("30D")),
    }


def opened(frames, **options):
    frames = dict(frames)
    return Tables.from_frames(frames.pop("orders"), **frames, clock=CLOCK, **options)


def contents(tables, name):
    columns = sorted(tables.engine.columns(name))
    return sorted(
        map(repr, tables.engine.query(f"SELECT {', '.join(columns)} FROM {name}").to_pylist())
    )


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_the_tables_are_those_of_a_shop_that_never_knew_the_erased(engine):
    found = opened(shop(), erased=erased("ben", "7", "nobody"), engine=engine)
    without = opened(shop(["anna", "cleo", "007"]), engine=engine)
    for name in without.audits:
        assert contents(found, name) == contents(without, name)
    dropped = {name: dict(audit.dropped) for name, audit in found.audits.items()}
    assert dropped["orders"] == {"erased": 4}
    assert dropped["order_lines"] == {"erased": 8}
    assert dropped["costs"] == {}
    assert all(dropped[name] == {"erased": 2} for name in ("customers", "events", "consents"))
    assert found.audits["orders"].rows_read == 10
    assert found.audits["orders"].rows_kept == 6


@given(st.sets(st.sampled_from(NAMES)))
def test_whoever_is_erased_nobody_else_loses_a_row(gone):
    found = opened({"orders": shop()["orders"]}, erased=erased(*gone))
    rows = found.engine.rows("SELECT DISTINCT customer_id AS c FROM orders")
    assert {row["c"] for row in rows} == set(NAMES) - gone
    assert found.audits["orders"].dropped.get("erased", 0) == 2 * len(gone)


def test_lines_of_a_file_at_line_grain_go_with_their_orders():
    rows = shop()["orders"].assign(product_id="x", quantity=1.0)
    tables = opened({"orders": rows}, grain="line", erased=erased("anna"))
    assert tables.count("orders") == 8
    assert tables.engine.rows("SELECT count(*) AS n FROM order_lines") == [{"n": 8}]


def test_unusable_rows_of_the_erased_are_no_reason_to_refuse_a_table():
    frames = shop()
    frames["orders"] = frames["orders"].assign(
        amount=[float("nan") if name == "ben" else 1.0 for name in frames["orders"]["customer_id"]]
    )
    with pytest.raises(DataError, match=r"at most 1\.0% of the rows"):
        opened(frames)
    assert opened(frames, erased=erased("ben")).audits["orders"].dropped == {"erased": 2}


def test_rows_without_a_customer_are_still_counted_as_such():
    rows = shop()["orders"]
    rows = pd.concat([rows, rows.iloc[:1].assign(customer_id=None, order_id="z")])
    tables = opened({"orders": rows}, erased=erased("ben"))
    assert dict(tables.audits["orders"].dropped) == {"erased": 2, "without a customer_id": 1}


def test_a_shop_of_erased_customers_alone_is_empty():
    assert opened(shop(), erased=erased(*NAMES)).count("orders") == 0


def test_other_tables_with_customers_lose_them_too():
    table = pa.table({"customer_id": ["anna", "ben", None], "n": [1, 2, 3]})
    assert without_erased(table, None) is table
    assert without_erased(table, erased("cleo")) is table
    assert without_erased(table, erased("ben"))["n"].to_pylist() == [1, 3]
