"""The sweep over sorted orders gives what grouping gives, wherever its batches end."""

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.day_sweep import SWEPT, sweep_days
from churn.data.engines.duck import DuckDBEngine
from churn.data.history import history
from churn.data.order_days import order_days
from churn.data.tables import Tables

TYPES = {
    "customer_id": pa.string(),
    "local_day": pa.int32(),
    "amount": pa.float64(),
    "discount": pa.float64(),
    "channel": pa.string(),
}
Rows = list[dict[str, Any]]

an_order = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(["a", "b", "\u00e9", "a longer name than twelve"]),
        "local_day": st.integers(-3, 6),
        "amount": st.sampled_from([-2.5, 0.0, 0.5, 4.0, 8.25]),
        "discount": st.sampled_from([None, -1.0, 0.0, 0.25, 1.5]),
        "channel": st.sampled_from([None, "web", "shop", "\u00e4pp", "\U0001f6d2"]),
    }
)


def in_order(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (row["customer_id"].encode(), row["local_day"]))


def table_of(rows: Rows, columns: tuple[str, ...] = SWEPT) -> pa.Table:
    schema = pa.schema({name: TYPES[name] for name in columns})
    return pa.Table.from_pylist([{name: row[name] for name in columns} for row in rows], schema)


def swept(rows: Rows, columns: tuple[str, ...], batch_rows: int) -> list[dict[str, Any]]:
    batches = table_of(in_order(rows), columns).to_batches(max_chunksize=batch_rows)
    return [row for table in sweep_days(batches) for row in table.to_pylist()]


def grouped(rows: Rows, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    engine = DuckDBEngine()
    lazy = engine.lazy(engine.accept(table_of(rows, columns)))
    return engine.collect(order_days(lazy, ["customer_id"])).to_pylist()


@given(
    rows=st.lists(an_order, min_size=1, max_size=30),
    columns=st.sampled_from([SWEPT[:3], SWEPT[:4], SWEPT]),
    batch_rows=st.integers(1, 9),
)
def test_it_makes_the_days_that_grouping_makes(rows, columns, batch_rows):
    """The amounts are such that their sums are exact in any order."""
    found = swept(rows, columns, batch_rows)
    numbers = [row.pop("customer_number") for row in found]
    assert found == in_order(grouped(rows, columns))
    assert len({*numbers}) == len({row["customer_id"] for row in rows})
    assert len({(row["customer_id"], n) for row, n in zip(found, numbers, strict=True)}) == len(
        {*numbers}
    )


def test_a_day_that_goes_on_in_the_next_batch_is_one_day():
    rows = [
        {"customer_id": "a", "local_day": 3, "amount": 2.0, "discount": None, "channel": "web"}
    ] * 5
    (day,) = swept(rows, SWEPT, batch_rows=2)
    assert (day["orders"], day["spend"], day["gap_days"]) == (5, 10.0, None)


def test_nothing_comes_of_no_orders():
    assert list(sweep_days([])) == []
    assert list(sweep_days(table_of([]).to_batches())) == []


def orders_of(rows: Rows) -> pa.Table:
    begin = date(2024, 1, 10)
    return pa.table(
        {
            "customer_id": [row["customer_id"] for row in rows],
            "ordered_at": [begin + timedelta(days=row["local_day"]) for row in rows],
            "amount": [row["amount"] for row in rows],
        }
    )


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_histories_have_the_same_days_whether_swept_or_grouped(engine):
    rows = [
        {"customer_id": name, "local_day": day, "amount": float(day)}
        for name in ("ann", "bob")
        for day in (1, 1, 2, 5)
    ]
    tables = Tables.from_frames(orders_of(rows), engine=engine)
    days = tables.engine.collect(history(tables, [date(2024, 2, 1)]).days).to_pylist()
    shown = [(d["customer_id"], d["spend"], d["gap_days"], d["spend_change"]) for d in days]
    steps = [(2.0, None, 2.0), (2.0, 1, 0.0), (5.0, 3, 3.0)]
    expected = [(name, *step) for name in ("ann", "bob") for step in steps]
    assert sorted(shown, key=repr) == sorted(expected, key=repr)


def test_a_sweep_that_fails_says_why():
    def failing(_: object) -> Any:
        yield pa.table({"n": [1]})
        raise ZeroDivisionError("the cause")

    engine = DuckDBEngine()
    lazy = engine.lazy(engine.accept(pa.table({"n": [2, 1]})))
    with pytest.raises(ZeroDivisionError, match="the cause"):
        engine.sweep(lazy, "t", failing, by=["n"])
