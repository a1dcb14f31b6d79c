"""One row an order, whatever the grain: copies counted, conflicts refused, versions told apart."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from churn.data.tables import Tables
from churn.errors import DataError

FIRST = datetime(2024, 1, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def order(order_id: str | None = "1", **changes: object) -> dict:
    usual = {"customer_id": "anna", "order_id": order_id, "ordered_at": FIRST, "amount": 1.0}
    return usual | changes


def rows_of(tables: Tables, columns: str = "*") -> list[dict]:
    return tables.engine.rows(f"SELECT {columns} FROM orders ORDER BY ALL")


def test_exact_copies_of_an_order_are_dropped_and_counted(open_shop):
    tables = open_shop([order("1"), order("1"), order("1"), order("2")])
    assert tables.audits["orders"].dropped == {"exact copies of an order": 2}
    assert tables.audits["orders"].rows_kept == len(rows_of(tables)) == 2


@pytest.mark.parametrize("change", [{"amount": 2.0}, {"ordered_at": FIRST + DAY}])
def test_two_different_rows_of_one_order_are_refused(open_shop, change):
    rows = [order("1"), order("1", **change), order("2"), order("2")]
    with pytest.raises(DataError, match=r'got 1 order ids.*Map loaded_at .* or set grain = "line"'):
        open_shop(rows)


def test_loaded_at_tells_which_version_of_an_order_is_newer(open_shop):
    """The older is superseded at the moment the newer arrived."""
    versions = [order(amount=2.0, loaded_at=FIRST + 2 * DAY), order(loaded_at=FIRST + DAY)]
    rows = rows_of(open_shop(versions), "amount, superseded_day - loaded_day AS lasted")
    assert rows == [{"amount": 1.0, "lasted": 1.0}, {"amount": 2.0, "lasted": None}]


def test_two_different_rows_that_arrived_together_are_refused_all_the_same(open_shop):
    versions = [order(loaded_at=FIRST + DAY), order(amount=2.0, loaded_at=FIRST + DAY)]
    with pytest.raises(DataError, match="an order_id must identify one order"):
        open_shop(versions)


def test_without_order_ids_every_row_is_an_order(open_shop):
    rows = [{name: value for name, value in order().items() if name != "order_id"}] * 3
    assert len(rows_of(open_shop(rows))) == 3


def test_lines_become_orders_of_their_earliest_time_and_summed_amount(open_shop):
    lines = [
        order("1", amount=1.1, product_id="p", ordered_at=FIRST + DAY),
        order("1", amount=2.2, product_id="q"),
        order("2", amount=-1.0, product_id="p"),
    ]
    tables = open_shop(lines, grain="line")
    found = rows_of(tables, "order_id, amount, round((day % 1) * 24) AS hour, local_day")
    assert found == [
        {"order_id": "1", "amount": 3.3, "hour": 12.0, "local_day": 19737},
        {"order_id": "2", "amount": -1.0, "hour": 12.0, "local_day": 19737},
    ]
    kept = tables.engine.rows("SELECT order_id, product_id, amount FROM order_lines")
    assert len(kept) == 3


def test_at_line_grain_nothing_is_a_duplicate(open_shop):
    tables = open_shop([order("1", amount=2.5)] * 4, grain="line")
    assert rows_of(tables, "amount") == [{"amount": 10.0}]
    assert tables.audits["orders"].dropped == {}


def test_lines_need_an_order_id(open_shop):
    rows = [{name: value for name, value in order().items() if name != "order_id"}]
    with pytest.raises(DataError, match=r"needs an order_id.*\[data\.orders\.columns\]"):
        open_shop(rows, grain="line")


def test_lines_of_two_customers_are_two_orders_and_told(open_shop):
    lines = [order("1"), order("1", customer_id="ben"), order("1", amount=2.0), order("2")]
    tables = open_shop(lines, grain="line")
    found = rows_of(tables, "customer_id, amount")
    assert [tuple(row.values()) for row in found] == [("anna", 1.0), ("anna", 3.0), ("ben", 1.0)]
    (warning,) = tables.audits["orders"].warnings
    assert warning.startswith("1 order ids are shared by several orders")
    ids = tables.engine.rows("SELECT count(DISTINCT order_id) AS n FROM order_lines")
    assert ids == [{"n": 3}]


def test_two_stores_that_count_alike_take_no_order_from_one_another(open_shop):
    """A version of an order has the same customer; it is another store's order otherwise."""
    rows = [
        order("1001", customer_id="anna", store="NL", amount=50.0, loaded_at=FIRST + DAY),
        order("1001", customer_id="bram", store="BE", amount=80.0, loaded_at=FIRST + 9 * DAY),
        order("1002", customer_id="bram", store="BE", amount=1.0, loaded_at=FIRST + 2 * DAY),
        order("1002", customer_id="bram", store="BE", amount=2.0, loaded_at=FIRST + 3 * DAY),
    ]
    found = rows_of(open_shop(rows), "customer_id, amount, superseded_day IS NULL AS last")
    assert [tuple(row.values()) for row in found] == [
        ("anna", 50.0, True),
        ("bram", 1.0, False),
        ("bram", 2.0, True),
        ("bram", 80.0, True),
    ]


def test_one_customer_of_two_stores_that_count_alike_has_two_orders(open_shop):
    rows = [order("1", store="NL"), order("1", store="BE", ordered_at=FIRST + DAY), order("2")]
    assert len(rows_of(open_shop(rows))) == 3
    assert len(rows_of(open_shop(rows, grain="line"))) == 3


def test_lines_of_two_departments_at_one_moment_are_one_order(open_shop):
    rows = [order("1", store="fish"), order("1", store="meat"), order("2", store="fish")]
    assert len(rows_of(open_shop(rows, grain="line"))) == 2


@pytest.mark.parametrize("grain", ["order", "line"])
def test_numbers_that_begin_anew_each_year_are_orders_of_their_own(open_shop, grain):
    """Where customers share numbers the day tells a customer's own orders apart, too."""
    later = FIRST - 365 * DAY
    rows = [
        order("1"),
        order("1", ordered_at=later),
        order("2"),
        order("2", customer_id="ben", ordered_at=later),
    ]
    tables = open_shop(rows, grain=grain)
    assert len(rows_of(tables)) == 4
    assert "numbers restart" in tables.audits["orders"].warnings[0]


def test_where_numbers_begin_anew_a_version_is_still_one_of_its_order(open_shop):
    rows = [
        order("1", loaded_at=FIRST + DAY),
        order("1", amount=2.0, ordered_at=FIRST + DAY, loaded_at=FIRST + 2 * DAY),
        order("1", customer_id="ben", loaded_at=FIRST + DAY),
        order("1", customer_id="ben", ordered_at=FIRST - 300 * DAY, loaded_at=FIRST - 299 * DAY),
    ]
    found = rows_of(open_shop(rows), "customer_id, superseded_day IS NULL AS last")
    assert [tuple(row.values()) for row in found] == [
        ("anna", False),
        ("anna", True),
        ("ben", True),
        ("ben", True),
    ]


def test_lines_of_a_number_that_two_orders_share_belong_to_nobody(open_shop):
    rows = [order(str(n)) for n in range(9)] + [order("1", customer_id="ben")]
    line = {"product_id": "p", "quantity": 1.0, "amount": 1.0}
    lines = pa.Table.from_pylist([{"order_id": str(n), **line} for n in range(9)])
    tables = open_shop(rows, order_lines=lines, bad_row_limit=0.2)
    assert tables.audits["order_lines"].dropped == {"of an order_id that several orders share": 1}
    with pytest.raises(DataError, match="1 of an order_id that several orders share"):
        open_shop(rows, order_lines=lines)


def test_a_line_that_arrives_later_makes_a_new_version_of_its_order(open_shop):
    lines = [
        order("1", amount=1.0, loaded_at=FIRST + DAY),
        order("1", amount=2.0, loaded_at=FIRST + DAY),
        order("1", amount=4.0, loaded_at=FIRST + 3 * DAY),
    ]
    tables = open_shop(lines, grain="line")
    found = rows_of(tables, "amount, superseded_day - loaded_day AS lasted")
    assert found == [{"amount": 3.0, "lasted": 2.0}, {"amount": 7.0, "lasted": None}]


@pytest.mark.parametrize("grain", ["order", "line"])
@pytest.mark.parametrize("ids", [("1", "2"), ("1", "1")])
def test_mixed_currencies_are_refused(open_shop, grain, ids):
    """Two in one order too: grouping its lines must not hide the second."""
    rows = [order(ids[0], currency="EUR"), order(ids[1], currency="USD")]
    if (grain, ids) == ("order", ("1", "1")):
        rows[1]["loaded_at"], rows[0]["loaded_at"] = FIRST + DAY, FIRST
    with pytest.raises(DataError, match=r"one currency .* got \['EUR', 'USD'\]\. Convert"):
        open_shop(rows, grain=grain, currency="EUR")


def test_the_one_currency_must_be_the_configured_one(open_shop):
    with pytest.raises(DataError, match=r"currency = 'USD', got \['EUR'\]"):
        open_shop([order(currency="EUR")])
    tables = open_shop([order(currency="EUR"), order("2", currency=None)], currency="EUR")
    assert len(rows_of(tables)) == 2
