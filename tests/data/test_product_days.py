"""Who bought what on which day, and from when on that was known."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from churn.data.product_days import product_days, product_facts
from churn.data.tables import Tables
from churn.errors import DataError

CLOCK = datetime(2025, 1, 1, tzinfo=UTC)
AS_OF = date(2024, 3, 10)


def at(day: int, month: int = 3) -> datetime:
    return datetime(2024, month, day, 12, tzinfo=UTC)


def lines(*rows: dict) -> pa.Table:
    common = {"quantity": 1, "amount": 2.0, "category": "food"}
    return pa.Table.from_pylist([common | row for row in rows])


def tables(table: pa.Table) -> Tables:
    return Tables.from_frames(table, grain="line", clock=CLOCK)


def line(order: str, day: int, product: str | None, **more: object) -> dict:
    row = {"customer_id": "ann", "order_id": order, "ordered_at": at(day), "product_id": product}
    return row | more


def days_of(table: pa.Table, **options: object) -> list[tuple]:
    opened = tables(table)
    found = opened.engine.collect(product_days(opened.as_of(AS_OF), **options))
    return sorted((row["product"], row["local_day"]) for row in found.to_pylist())


def test_a_product_bought_twice_on_a_day_is_one_row():
    rows = lines(line("1", 1, "tea"), line("2", 1, "tea"), line("3", 2, "tea"))
    assert days_of(rows) == [("tea", 19783), ("tea", 19784)]


def test_returns_lines_without_a_product_and_the_days_from_as_of_on_are_left_out():
    rows = lines(
        line("1", 1, "tea"),
        line("2", 2, "tea", amount=-2.0),
        line("3", 3, None),
        line("4", 10, "tea"),
    )
    assert days_of(rows) == [("tea", 19783)]


def test_by_category_a_day_is_one_row_whatever_the_products():
    rows = lines(line("1", 1, "tea"), line("1", 1, "rice"), line("2", 1, "nails", category="tools"))
    assert days_of(rows, level="category") == [("food", 19783), ("tools", 19783)]


def test_a_late_line_is_known_from_its_arrival_on():
    rows = lines(
        line("1", 1, "tea", loaded_at=at(1)),
        line("1", 1, "rice", loaded_at=at(5)),
        line("2", 2, "nails", loaded_at=at(12)),
    )
    opened = tables(rows)
    found = opened.engine.collect(product_days(opened.as_of(AS_OF))).to_pylist()
    spans = {(row["product"], row["known_from"], min(row["known_until"], 1e6)) for row in found}
    assert ("rice", 19787.5, 1e6) in spans
    assert {span[0] for span in spans} == {"tea", "rice"}


def test_facts_name_the_last_sale_the_category_and_the_name():
    rows = lines(
        line("1", 1, "tea", product_name="Tea, green"),
        line("2", 4, "tea", product_name="Tea"),
        line("3", 11, "tea", product_name="A later name"),
    )
    opened = tables(rows)
    (fact,) = opened.engine.collect(product_facts(opened.as_of(AS_OF))).to_pylist()
    assert fact == {"product": "tea", "last_day": 19786, "category": "food", "name": "Tea"}


def test_without_lines_that_name_products_the_way_to_connect_them_is_told(open_shop, tiny_shop):
    with pytest.raises(DataError, match=r"need lines of orders that have a product_id.*Connect"):
        product_days(open_shop(tiny_shop).as_of("2024-05-01"))
