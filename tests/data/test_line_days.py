"""Lines at a row per customer, day and category: what is summed, and what only looks backward."""

import math
from datetime import UTC, datetime, timedelta

import narwhals as nw
import pyarrow as pa
import pytest

from churn.data.engines.duck import DuckDBEngine
from churn.data.line_days import line_days, lines_of_orders

KEYS = ("customer_id",)
LINES = {
    "customer_id": ["a", "a", "a", "a", "b"],
    "local_day": [1, 1, 1, 5, 1],
    "product_id": ["p", "p", "q", "p", "p"],
    "category": ["food", "food", None, "food", "food"],
    "quantity": [2, 0, 1, 1, 1],
    "amount": [4.0, 1.0, 3.0, 5.0, 2.0],
    "discount": [1.0, None, -1.0, 0.0, 0.5],
}


@pytest.fixture
def engine():
    engine = DuckDBEngine()
    yield engine
    engine.close()


def days_of(engine: DuckDBEngine, columns: dict, *without: str) -> list[dict]:
    kept = {name: values for name, values in columns.items() if name not in without}
    lines = engine.lazy(engine.accept(pa.table(kept)))
    return engine.collect(
        line_days(lines, KEYS).sort("customer_id", "local_day", "spend")
    ).to_pylist()


def column(rows: list[dict], name: str) -> list:
    return [row[name] for row in rows]


def test_lines_are_summed_by_customer_day_and_category(engine):
    """Anna's first day: no category (3.0), then food (5.0); her second; Ben's."""
    rows = days_of(engine, LINES)
    assert column(rows, "spend") == [3.0, 5.0, 5.0, 2.0]
    assert column(rows, "lines") == [1, 2, 1, 1]
    assert column(rows, "units") == [1.0, 2.0, 1.0, 1.0]
    assert column(rows, "counted_lines") == [1, 1, 1, 1]
    assert column(rows, "discount") == [0.0, 1.0, 0.0, 0.5]
    assert column(rows, "discounted_lines") == [0, 1, 0, 1]
    assert column(rows, "price_log_sum") == pytest.approx(
        [math.log(3), math.log(2), math.log(5), math.log(2)]
    )


def test_running_totals_and_gaps_stay_within_a_customers_category(engine):
    rows = days_of(engine, LINES)
    assert column(rows, "category_total") == [3.0, 5.0, 10.0, 2.0]
    assert column(rows, "category_gap_days") == [None, None, 4, None]


def test_changes_of_x_ln_x_add_up_to_it(engine):
    food = [row["entropy_change"] for row in days_of(engine, LINES)[1:3]]
    assert sum(food) == pytest.approx(10 * math.log(10))


def test_a_product_is_new_once_however_many_lines_its_first_day_has(engine):
    rows = days_of(engine, LINES)
    assert column(rows, "new_products") == [1, 1, 0, 1]


def test_lines_without_a_product_are_no_new_product(engine):
    rows = days_of(engine, LINES | {"product_id": [None, None, "q", None, None]})
    assert column(rows, "new_products") == [1, 0, 0, 0]
    assert column(rows, "product_lines") == [1, 0, 0, 0]


def test_no_text_of_a_line_reaches_the_features(engine):
    assert {"category", "product_id"}.isdisjoint(days_of(engine, LINES)[0])


def test_without_categories_there_is_a_row_per_customer_and_day(engine):
    rows = days_of(engine, LINES, "category", "product_id", "quantity", "discount")
    assert rows == [
        {"customer_id": "a", "local_day": 1, "lines": 3, "spend": 8.0},
        {"customer_id": "a", "local_day": 5, "lines": 1, "spend": 5.0},
        {"customer_id": "b", "local_day": 1, "lines": 1, "spend": 2.0},
    ]


def test_the_steps_give_the_same_on_polars(engine):
    """Written once for every engine."""
    import polars as pl

    frame = nw.from_native(pl.DataFrame(LINES).lazy())
    found = line_days(frame, KEYS).sort("customer_id", "local_day", "spend").collect()
    rows = days_of(engine, LINES)
    for polars, duck in zip(found.rows(named=True), rows, strict=True):
        assert polars == pytest.approx(duck)


def test_a_line_takes_customer_day_and_arrival_from_its_order(open_shop):
    """One of another order, a return and a free one are left out."""
    at = datetime(2024, 3, 1, 12, tzinfo=UTC)
    loaded = {"loaded_at": at + timedelta(days=1)}
    orders = [{"customer_id": "a", "order_id": "1", "ordered_at": at, "amount": 9.0} | loaded]
    lines = pa.table(
        {
            "order_id": ["1", "1", "1", "2"],
            "product_id": ["p", "q", "r", "s"],
            "quantity": [1.0, 1.0, 1.0, 1.0],
            "amount": [9.0, -9.0, 0.0, 9.0],
            "loaded_at": [at + timedelta(days=2)] * 4,
        }
    )
    tables = open_shop(orders, order_lines=lines)
    (row,) = tables.engine.collect(lines_of_orders(tables)).to_pylist()
    assert (row["customer_id"], row["product_id"], row["local_day"]) == ("a", "p", 19783)
    assert row["line_loaded_day"] - row["loaded_day"] == 1
    assert row["superseded_day"] is None
