"""What init counts as readable is what the import reads, equal to a plain-Python oracle."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.data.profiling.guess import profile_orders
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import DataError

CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN = datetime(2024, 1, 13, 10, 5)


def point(text: str) -> str:
    """1,234.50 as 1.234,50."""
    return text.translate(str.maketrans(",.", ".,"))


AMOUNTS = {
    "plain": lambda v: f"{v:.2f}",
    "thousands": lambda v: f"{v:,.2f}",
    "german": lambda v: point(f"{v:,.2f}"),
    "euro": lambda v: point(f"{v:,.2f}") + " €",
    "dollar": lambda v: f"{'-' if v < 0 else ''}${abs(v):,.2f}",
    "brackets": lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}",
    "trailing minus": lambda v: f"{-v:.2f}-" if v < 0 else f"{v:.2f}",
    "unicode minus": lambda v: f"{v:.2f}".replace("-", "\u2212"),
    "french": lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ","),
    "swiss": lambda v: f"CHF {v:,.2f}".replace(",", "'"),
    "code behind": lambda v: f" {v:.2f} USD ",
}
CURRENCIES = {"euro": "EUR", "swiss": "CHF"}
EPOCH = datetime(1970, 1, 1)
TIMES = {
    "iso": lambda t: t.isoformat(),
    "iso z": lambda t: f"{t.isoformat()}Z",
    "offset behind a space": lambda t: f"{t + timedelta(hours=2):%Y-%m-%d %H:%M:%S} +0200",
    "short offset": lambda t: f"{t + timedelta(hours=2):%Y-%m-%d %H:%M:%S} +02",
    "comma fraction": lambda t: f"{t:%Y-%m-%dT%H:%M:%S},000",
    "iso am pm": lambda t: f"{t:%Y-%m-%d %I:%M:%S %p}",
    "german": lambda t: f"{t:%d.%m.%Y %H:%M:%S}",
    "british": lambda t: f"{t:%d/%m/%Y %H:%M:%S}",
    "american": lambda t: f"{t:%m/%d/%y %I:%M:%S %p}",
    "magento": lambda t: f"{t:%b} {t.day}, {t:%Y %I:%M:%S %p}",
    "mail": lambda t: f"{t:%a, %d %b %Y %H:%M:%S} +0000",
    "excel": lambda t: f"{(t - datetime(1899, 12, 30)) / timedelta(days=1):.8f}",
    "unix": lambda t: str(int((t - EPOCH).total_seconds())),
    "unix milliseconds": lambda t: str(int((t - EPOCH).total_seconds() * 1000)),
    "unix microseconds": lambda t: str(int((t - EPOCH).total_seconds() * 1_000_000)),
    "compact": lambda t: f"{t:%Y%m%d%H%M%S}",
}


def orders_file(folder: Path, times: list[str], amounts: list[str]) -> Path:
    path = folder / "orders.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(["order_id", "customer_id", "ordered_at", "amount"])
        rows = zip(times, amounts, strict=True)
        writer.writerows([n, f"c{n % 3}", t, a] for n, (t, a) in enumerate(rows))
    return path


def opened(path: Path, **source: object) -> Tables:
    orders = OrdersSource(source=path.name, delimiter=";", **source)
    return Tables.from_settings(DataSettings(orders=orders), folder=path.parent, clock=CLOCK)


def read(path: Path, currency: str, **source: object) -> list[tuple[datetime, float]]:
    orders = OrdersSource(source=path.name, delimiter=";", **source)
    data = DataSettings(orders=orders, currency=currency, keep_outlying_dates=True)
    tables = Tables.from_settings(data, folder=path.parent, clock=CLOCK)
    rows = tables.engine.rows("SELECT day, amount FROM orders ORDER BY CAST(order_id AS INTEGER)")
    tables.close()
    return [(EPOCH + timedelta(seconds=round(r["day"] * 86_400)), r["amount"]) for r in rows]


@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("times", ["iso"])
def test_amounts_in_every_notation_are_read_alike_with_and_without_init(tmp_path, times, amounts):
    check_both(tmp_path, times, amounts, [1234567.5, 12.5, -3.25, 0.0, 999.99])


@pytest.mark.parametrize("times", TIMES)
def test_times_in_every_notation_are_read_alike_with_and_without_init(tmp_path, times):
    check_both(tmp_path, times, "plain", [1.0, 2.0, 3.0, 4.0])


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(sorted(TIMES)),
    st.sampled_from(sorted(AMOUNTS)),
    st.lists(st.decimals(-99_999, 99_999, places=2), min_size=3, max_size=8),
)
def test_any_two_notations_go_together(tmp_path, times, amounts, values):
    cents = [float(value) for value in values if value]  # "-0.00" has no sign to lose
    if len(cents) >= 3:
        check_both(tmp_path, times, amounts, cents)


def check_both(folder: Path, times: str, amounts: str, values: list[float]) -> None:
    moments = [BEGIN + timedelta(days=n, hours=5 * n, minutes=n) for n in range(len(values))]
    texts = [AMOUNTS[amounts](value) for value in values]
    path = orders_file(folder, [TIMES[times](moment) for moment in moments], texts)
    expected = list(zip(moments, values, strict=True))
    currency = CURRENCIES.get(amounts, "USD")
    assert read(path, currency) == expected
    guess = profile_orders(path)
    assert not [warning for warning in guess.warnings if "no such" in warning]
    decimal = {"decimal": ","} if guess.decimal == "," else {}
    assert read(path, currency, date_format=guess.date_format, **decimal) == expected


def test_dates_that_read_both_ways_stay_unread_and_the_message_names_both_formats(tmp_path):
    path = orders_file(tmp_path, ["01/02/2024", "03/04/2024"], ["1", "2"])
    said = r"written like '99/99/9999'.*set date_format = \"%d/%m/%Y\" or \"%m/%d/%Y\""
    with pytest.raises(DataError, match=said):
        opened(path)
    assert read(path, "USD", date_format="%m/%d/%Y")[0][0] == datetime(2024, 1, 2)


def test_two_notations_in_one_column_are_read_and_counted(tmp_path):
    path = orders_file(tmp_path, ["2024-01-15", "16.01.2024", "17.01.2024"], ["1", "2", "3"])
    tables = opened(path)
    assert tables.audits["orders"].rows_kept == 3
    counted = "ordered_at is written in several ways: 1 as iso, 2 as %d.%m.%Y"
    assert counted in tables.audits["orders"].notes


def test_what_is_in_no_notation_is_shown_by_its_shape_alone(tmp_path):
    times = ["2024-01-15", "15.01.2024 10h15"]
    path = orders_file(tmp_path, times, ["1", "2"])
    with pytest.raises(DataError, match=r"written like '99\.99\.9999 99a99'") as failure:
        opened(path)
    assert "15.01.2024" not in str(failure.value)


@pytest.mark.parametrize(("texts", "total"), [(["1,234", "5"], 1239.0), (["1.234", "5"], 6.234)])
def test_a_number_that_means_two_things_is_reported_until_decimal_is_set(tmp_path, texts, total):
    path = orders_file(tmp_path, ["2024-01-15", "2024-01-16"], texts)
    tables = opened(path)
    (row,) = tables.engine.rows("SELECT sum(amount) AS total FROM orders")
    assert row["total"] == pytest.approx(total)
    (warning,) = tables.audits["orders"].warnings
    assert 'set decimal = "." or ","' in warning
    assert opened(path, decimal=".").audits["orders"].warnings == ()


def test_the_column_settles_a_number_that_means_two_things(tmp_path):
    path = orders_file(tmp_path, ["2024-01-15", "2024-01-16"], ["1.234", "5,50"])
    tables = opened(path)
    assert [
        row["amount"] for row in tables.engine.rows("SELECT amount FROM orders ORDER BY 1")
    ] == [
        5.5,
        1234.0,
    ]


def test_amounts_in_two_currencies_are_refused(tmp_path):
    path = orders_file(tmp_path, ["2024-01-15", "2024-01-16"], ["5 $", "5 €"])
    with pytest.raises(DataError, match=r"one currency .*got \['\$', 'EUR'\]"):
        opened(path)
