"""Rows that are left out are compared with those that are kept: a kind of row is a hole."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from churn.data.tables import Tables
from churn.errors import DataError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def orders(count: int = 1_000) -> list[dict]:
    begin = datetime(2024, 1, 1, 12, tzinfo=UTC)
    return [
        {
            "customer_id": f"c{n % 50}",
            "ordered_at": (begin + n % 100 * DAY).isoformat(),
            "amount": "10.00",
            "store": f"s{n % 5}",
        }
        for n in range(count)
    ]


def opened(rows: list[dict]) -> Tables:
    return Tables.from_frames(pa.Table.from_pylist(rows), clock=CLOCK)


def warnings(rows: list[dict]) -> str:
    tables = opened(rows)
    return " ".join(tables.audits["orders"].warnings)


def test_every_row_left_out_is_counted_in_a_warning_with_its_shape():
    said = warnings([*orders(), orders(1)[0] | {"amount": "ask Ann"}])
    assert "1 of 1,001 rows are unusable and left out (1 without a readable amount" in said
    assert "written like 'aaa Aaa'" in said
    assert "among them" not in said


def test_all_rows_of_a_store_are_a_kind():
    lost = [row | {"store": "new", "amount": "x"} for row in orders(4)]
    assert "among them are 4 of 4 rows of one store" in warnings([*orders(), *lost])


def test_all_rows_of_a_day_are_a_kind():
    day = {"ordered_at": "2024-05-01T12:00:00+00:00", "amount": "x"}
    late = orders(1)[0] | {"ordered_at": "2024-05-02T12:00:00+00:00"}
    lost = [row | day for row in orders(4)]
    assert "4 of 4 rows of 2024-05-01" in warnings([*orders(), late, *lost])


def test_refunds_are_a_kind_from_the_first_one():
    refund = orders(1)[0] | {"amount": "-5.00", "ordered_at": "some day"}
    assert "1 of 1 amounts below zero" in warnings([*orders(), refund])


def test_rows_that_hold_much_of_the_money_stop():
    lost = [row | {"amount": "900.00", "ordered_at": "some day"} for row in orders(4)]
    with pytest.raises(DataError, match=r"at most 5% of the money.*about 26% in 4 rows"):
        opened([*orders(), *lost])


def test_amounts_that_are_unread_and_large_are_named_or_stop():
    lost = [row | {"amount": "12.345.6 !"} for row in orders(1)]
    said = warnings([*orders(), *lost])
    assert "1 amounts that look larger than all amounts that were read" in said


def test_rows_without_which_the_data_end_earlier_stop():
    lost = [
        row | {"ordered_at": f"2024-05-2{n}T12:00:00+00:00", "amount": "x"}
        for n, row in enumerate(orders(4))
    ]
    with pytest.raises(DataError, match=r"lose its last days.*4 rows after 2024-04-09"):
        opened([*orders(), *lost])


def test_values_of_an_optional_column_that_are_unread_are_counted():
    rows = [row | {"discount": "1.00"} for row in orders(10)]
    said = warnings([*rows, rows[0] | {"discount": "5 %"}])
    assert "1 values of discount could not be read and count as missing" in said
