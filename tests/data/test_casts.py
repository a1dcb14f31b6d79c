"""Values are read exactly or not at all; what cannot be read is counted."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.data.casts import usual_notation
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
NOON = datetime(2024, 1, 15, 12)


def orders(**columns: object) -> pa.Table:
    """One or more orders of 2024-01-15, in which columns may be replaced or added."""
    rows = max(len(values) for values in columns.values())
    usual = {"customer_id": ["anna"], "ordered_at": ["2024-01-15"], "amount": [1.0]}
    return pa.table({name: values * rows for name, values in usual.items()} | columns)


def read(frame: object, **options: object) -> list[dict]:
    tables = Tables.from_frames(frame, **({"clock": CLOCK, "bad_row_limit": 1.0} | options))
    return tables.engine.rows("SELECT * FROM orders ORDER BY CAST(order_id AS INTEGER)")


def refused(**columns: object) -> dict[str, int]:
    tables = Tables.from_frames(orders(**columns), clock=CLOCK, bad_row_limit=1.0)
    return dict(tables.audits["orders"].dropped)


def moment(row: dict) -> datetime:
    return datetime.fromtimestamp(round(row["day"] * 86_400, 3), UTC)


@settings(max_examples=30)
@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20))
def test_amounts_written_as_text_are_read_to_the_last_cent(amounts):
    rows = read(orders(amount=[str(amount) for amount in amounts]))
    assert [row["amount"] for row in rows] == [float(amount) for amount in amounts]


@settings(max_examples=30)
@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20))
def test_a_decimal_comma_is_read_with_and_without_points_between_thousands(
    tmp_path_factory, amounts
):
    texts = []
    for number, amount in enumerate(amounts):
        text = f"{amount:,.2f}" if number % 2 else f"{amount:.2f}"
        texts.append(text.translate(str.maketrans(",.", ".,")))
    path = tmp_path_factory.mktemp("shop") / "orders.csv"
    lines = [f"{number};anna;2024-01-15;{text}" for number, text in enumerate(texts)]
    path.write_text("\n".join(["order_id;customer_id;ordered_at;amount", *lines]) + "\n")
    source = OrdersSource(source=path.name, delimiter=";", decimal=",")
    tables = Tables.from_settings(DataSettings(orders=source), folder=path.parent, clock=CLOCK)
    rows = tables.engine.rows("SELECT amount FROM orders ORDER BY CAST(order_id AS INTEGER)")
    assert [row["amount"] for row in rows] == [float(amount) for amount in amounts]


@pytest.mark.parametrize("text", ["12.50", "1,234.50", "1.23,4", "1.2345", "12 pcs", "1,2,3"])
def test_with_a_decimal_comma_other_notations_are_not_guessed_at(tmp_path, text):
    """12.50 would be 1250 if its point were taken for a separator of thousands."""
    path = tmp_path / "orders.csv"
    path.write_text(f"customer_id;ordered_at;amount\nanna;2024-01-15;{text}\n")
    source = OrdersSource(source=path.name, delimiter=";", decimal=",")
    data = DataSettings(orders=source, bad_row_limit=1.0)
    tables = Tables.from_settings(data, folder=tmp_path, clock=CLOCK)
    assert tables.audits["orders"].dropped == {"without a readable amount": 1}


@pytest.mark.parametrize("text", ["12 pcs", "5 %", "1,2,3", "0x10", "true", "five", "", "--5"])
def test_junk_among_amounts_is_counted(text):
    assert refused(amount=["1.5", text]) == {"without a readable amount": 1}


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e400", "1e16"])
def test_numbers_that_no_till_prints_are_counted_and_not_read(text):
    assert sum(refused(amount=["1.5", text]).values()) == 1


@pytest.mark.parametrize(
    ("ids", "read_as"),
    [
        (["007", "7", " 7", "7.0"], ["007", "7", " 7", "7.0"]),
        ([7, -7, 2**53 + 1], ["7", "-7", "9007199254740993"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        ([7.0, 1e15], ["7", "1000000000000000"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (["Zoë", "Zoe\u0308", "李", "🛒", "x" * 300], ["Zoë", "Zoe\u0308", "李", "🛒", "x" * 300]),
    ],
    ids=["text", "int", "uint64", "float", "dictionary", "unicode"],
)
def test_ids_keep_every_character(ids, read_as):
    assert [row["customer_id"] for row in read(orders(customer_id=ids))] == read_as


def test_ids_that_are_no_whole_numbers_name_nobody():
    assert refused(customer_id=[7.5, 1e300, float("nan"), 7.0]) == {"without a customer_id": 3}


def test_an_id_with_a_nul_is_refused():
    assert refused(customer_id=["a\0b", "b"]) == {"with a NUL in customer_id": 1}
    with pytest.raises(DataError, match=r"1 of 2 \(1 with a NUL in customer_id\)"):
        read(orders(customer_id=["a\0b", "b"]), bad_row_limit=0.01)


def test_naive_times_are_read_in_the_configured_zone():
    (row,) = read(orders(ordered_at=["2024-01-15 00:30"]), timezone="Europe/Berlin")
    assert moment(row) == datetime(2024, 1, 14, 23, 30, tzinfo=UTC)
    (row,) = read(orders(ordered_at=[NOON]), timezone="America/New_York")
    assert moment(row) == datetime(2024, 1, 15, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2024-01-15T12:00:00Z", 12),
        ("2024-01-15 12:00:00+05:30", 6.5),
        ("2024-01-15 12:00-05", 17),
        ("2024-01-15 12:00 UTC", 12),
        ("2024-01-15 12:00:00 America/New_York", 17),
        ("2024-01-15 12:00", 11),
    ],
)
def test_a_zone_in_the_text_wins_over_the_configured_one(text, hour):
    (row,) = read(orders(ordered_at=[text]), timezone="Europe/Berlin")
    assert moment(row) == datetime(2024, 1, 15, int(hour), int(hour % 1 * 60), tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15 13:00 PM",
        "2024-01-15 10:00 Nowhere",
        "2024-02-30",
        "15.13.2024",
        "20241315",
        "12:00",
        "infinity",
        "-infinity",
        "",
    ],
)
def test_what_is_no_readable_time_is_counted(text):
    assert sum(refused(ordered_at=["2024-01-15", text]).values()) == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_timestamps_of_every_resolution_are_the_same_moment(unit, zone):
    there = pd.Timestamp(NOON, tz="UTC").tz_convert(zone) if zone else pd.Timestamp(NOON)
    (row,) = read(orders(ordered_at=pa.array([there], pa.timestamp(unit, zone))))
    assert moment(row) == NOON.replace(tzinfo=UTC)


def test_a_time_that_summer_time_skips_stays_on_its_day():
    (row,) = read(
        orders(ordered_at=["2024-03-31 02:30"]),
        timezone="Europe/Berlin",
        day_timezone="Europe/Berlin",
    )
    assert row["local_day"] == (date(2024, 3, 31) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    "value", [20240115, 20240115.0, 45306, 45306.0, 1705276800, 1705276800000, 1705276800000000]
)
def test_times_that_are_numbers_are_days_of_the_calendar_or_of_excel_or_unix_time(value):
    (row,) = read(orders(ordered_at=[value]))
    assert moment(row) == datetime(2024, 1, 15, tzinfo=UTC)


def test_numbers_that_are_no_times_are_refused_until_their_format_is_given():
    with pytest.raises(DataError, match=r'ordered_at.*say how to read it: date_format = "%Y%m%d"'):
        read(orders(ordered_at=[7]))


@pytest.mark.parametrize(
    ("column", "values"),
    [("amount", [True]), ("amount", [NOON]), ("customer_id", [["a"]]), ("customer_id", [b"a"])],
)
def test_a_column_of_another_type_is_refused_by_name(column, values):
    with pytest.raises(DataError, match=rf"'{column}' must hold .* Map another column"):
        read(orders(**{column: values}))


def test_a_column_without_a_single_value_is_missing_and_no_error():
    (row,) = read(orders(discount=pa.nulls(1), channel=pa.nulls(1)))
    assert (row["discount"], row["channel"]) == (None, None)


@pytest.mark.parametrize(
    ("expression", "amount"),
    [
        ("quantity * unit_price", 6.0),
        ('"quantity" * "Unit ""net"" price (€)"', 10.0),
        ("unit_price*(quantity-1)/2 + 0.5", 2.0),
        ("-unit_price", -3.0),
        ("quantity -- 2", 4.0),  # minus minus, and no comment
        ("price_text * 2", 5.0),
    ],
)
def test_an_amount_may_be_arithmetic(expression, amount):
    frame = orders(
        **{"quantity": [2], "unit_price": [3.0], "price_text": ["2.5"]},
        **{'Unit "net" price (€)': [5.0]},
    )
    assert [row["amount"] for row in read(frame, columns={"amount": expression})] == [amount]


@pytest.mark.parametrize(
    "expression",
    [
        "a; drop table x",
        "amount); DROP TABLE orders; --",
        "read_text('/etc/hostname')",
        "amount amount",
        "amount (amount)",
        "amount *",
        "amount ** 2",
        "()",
        "",
        "2 * 3",
        "2024",
    ],
)
def test_anything_but_arithmetic_is_refused(expression):
    with pytest.raises(DataError, match=r"lacks column|Write it with \+ - \* / \( \) only"):
        assert read(orders(amount=[1.0]), columns={"amount": expression}) == "not reached"


@pytest.mark.parametrize("column", ["customer_id", "ordered_at"])
def test_only_numbers_may_be_arithmetic(column):
    with pytest.raises(DataError, match="for numbers, arithmetic"):
        read(orders(amount=[1.0]), columns={column: "amount * 1"})


def test_a_division_by_zero_is_set_aside_and_counted():
    frame = orders(amount=[1.0, 1.0], quantity=[0, 2])
    tables = Tables.from_frames(
        frame, columns={"amount": "amount / quantity"}, clock=CLOCK, bad_row_limit=1.0
    )
    assert sum(tables.audits["orders"].dropped.values()) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_amounts_that_are_not_finite_are_set_aside_and_counted(value):
    tables = Tables.from_frames(orders(amount=[1.0, value]), clock=CLOCK, bad_row_limit=1.0)
    assert sum(tables.audits["orders"].dropped.values()) == 1
    assert [row["amount"] for row in tables.engine.rows("SELECT amount FROM orders")] == [1.0]


@pytest.mark.parametrize(
    "expression",
    ["-" * 2000 + "amount", "+".join(["amount"] * 5000), "(" * 99 + "amount" + ")" * 99],
)
def test_arithmetic_beyond_all_measure_is_refused(expression):
    with pytest.raises(ConfigError, match=r"at most 100 names, numbers and signs.*in the export"):
        read(orders(amount=[1.0]), columns={"amount": expression})


@pytest.mark.parametrize("date_format", ["%n", "%d.%m.%Y%n", "%t", "%", "%Y%", "%s", "%E", "%-Y"])
def test_a_date_format_of_unknown_directives_is_refused(date_format):
    with pytest.raises(ConfigError, match=r"directives of strptime.*got .*Write a percent sign"):
        usual_notation(OrdersSource(source="orders.csv", date_format=date_format))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-03-31 01:59", "2024-03-31 00:59"),
        ("2024-03-31 02:30", "2024-03-31 01:30"),
        ("2024-03-31 03:00", "2024-03-31 01:00"),
        ("2023-10-29 01:59", "2023-10-28 23:59"),
        ("2023-10-29 02:30", "2023-10-29 01:30"),
        ("2023-10-29 03:00", "2023-10-29 02:00"),
    ],
)
def test_times_around_a_change_of_the_clocks_are_one_moment_each_and_keep_their_day(text, utc):
    """A time that was skipped counts by the time of winter before it; one that came twice is the
    second. Text and timestamps are read alike.
    """
    zones = {"timezone": "Europe/Berlin", "day_timezone": "Europe/Berlin"}
    for column in ([text], [datetime.fromisoformat(text)]):
        (row,) = read(orders(ordered_at=column), **zones)
        assert moment(row) == datetime.fromisoformat(utc).replace(tzinfo=UTC)
        assert row["local_day"] == (date.fromisoformat(text[:10]) - date(1970, 1, 1)).days


@pytest.mark.parametrize("text", ["2018-11-04 00:30", "2018-11-04 00:00", "2018-11-04 00:59:59"])
def test_a_time_that_summer_time_skips_at_midnight_stays_on_its_day(text):
    """In Brazil the day began at one o'clock."""
    zones = {"timezone": "America/Sao_Paulo", "day_timezone": "America/Sao_Paulo"}
    (row,) = read(orders(ordered_at=[text]), **zones)
    assert row["local_day"] == (date(2018, 11, 4) - date(1970, 1, 1)).days


def test_without_a_configured_zone_naive_times_are_of_utc_and_so_are_days():
    rows = read(orders(ordered_at=["2024-01-15 00:00", "2024-01-15 23:59:59"]))
    assert [moment(row).isoformat() for row in rows] == [
        "2024-01-15T00:00:00+00:00",
        "2024-01-15T23:59:59+00:00",
    ]
    assert {row["local_day"] for row in rows} == {(date(2024, 1, 15) - date(1970, 1, 1)).days}
