"""Tables of a real PostgreSQL come in like files: exactly, at one moment, and without secrets."""

import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.data.databases import PREFIX, fetch
from churn.data.settings import DataSettings, OrdersSource, TableSource
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError, StorageError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
ORDERS = """
CREATE TABLE orders (customer_id int, ordered_at timestamptz, amount numeric(10, 2), note text);
"""
ROWS = "INSERT INTO orders VALUES (7, '2024-03-01 12:00+01', 12.30, 'x'), (8, '2024-04-01', -1, '')"


def opened(source, **more):
    columns = more.pop("columns", {})
    tables = {name: TableSource(source=one) for name, one in more.pop("others", {}).items()}
    orders = OrdersSource(source=source, columns=columns)
    data = DataSettings(orders=orders, **tables, **more)
    return Tables.from_settings(data, folder=Path(), clock=CLOCK)


def rows_of(tables, table="orders", by="day"):
    rows = tables.engine.collect(tables.frame(table)).to_pylist()
    tables.close()
    return sorted(rows, key=lambda row: row[by])


def left_behind():
    return list(Path(gettempdir()).glob(f"{PREFIX}*"))


@pytest.fixture
def shop(postgres):
    for statement in (ORDERS, ROWS):
        postgres.sql(statement)
    return postgres


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_orders_come_out_of_a_database_as_out_of_a_file(shop, engine):
    tables = opened(shop.address("orders"), engine=engine)
    assert [(row["customer_id"], row["amount"]) for row in rows_of(tables)] == [
        ("7", 12.3),
        ("8", -1.0),
    ]


def test_every_kind_of_column_comes_as_exactly_as_postgresql_holds_it(postgres):
    postgres.sql("CREATE DOMAIN code AS char(8)")
    postgres.sql(
        """CREATE TABLE orders AS SELECT 'a  '::code AS customer_id,
        12345678901234567890123456789.5::numeric AS order_id, 'eu'::char(4) AS channel,
        '2024-03-01 23:30'::timestamp AS ordered_at, '$1,234.50'::money AS amount,
        'EUR'::varchar AS currency, 0.1::real AS discount"""
    )
    (row,) = rows_of(opened(postgres.address("orders"), timezone="Europe/Berlin", currency="EUR"))
    assert (row["customer_id"], row["channel"]) == ("a", "eu")
    assert row["order_id"] == "12345678901234567890123456789.5"
    assert row["amount"] == 1234.5
    assert row["day"] == pytest.approx(19783 + 22.5 / 24, abs=1e-9)


def test_an_id_may_be_a_uuid(postgres):
    postgres.sql(
        "CREATE TABLE orders AS "
        "SELECT gen_random_uuid() AS customer_id, '2024-03-01'::date AS ordered_at, 1 AS amount"
    )
    (row,) = rows_of(opened(postgres.address("orders")))
    assert postgres.sql("SELECT customer_id::text FROM orders") == [(row["customer_id"],)]


@settings(
    max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
                min_size=1,
                max_size=300,
            ),
            st.floats(-1e9, 1e9),
            st.datetimes(datetime(1990, 1, 1), datetime(2024, 1, 1)),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_row_is_the_same_from_a_database_and_from_a_frame(postgres, rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "amount", "ordered_at"])
    frame["ordered_at"] = frame["ordered_at"].astype("datetime64[us]")
    postgres.sql("DROP TABLE IF EXISTS any_rows")
    columns = ["customer_id", "day", "amount"]
    from_database = rows_of(opened(postgres.holding("any_rows", frame)))
    from_frame = rows_of(Tables.from_frames(frame, clock=CLOCK))
    picked = [
        sorted(tuple(row[name] for name in columns) for row in rows)
        for rows in (from_database, from_frame)
    ]
    assert picked[0] == picked[1]


def test_what_no_order_can_hold_is_counted_out_as_in_a_file(shop):
    shop.sql("INSERT INTO orders VALUES (9, 'infinity', 1, ''), (9, '2024-01-01', 'NaN', '')")
    shop.sql(
        "INSERT INTO orders SELECT 1, '2024-02-01'::date + n, 5, '' FROM generate_series(0, 90) n"
    )
    tables = opened(shop.address("orders"), bad_row_limit=0.1)
    assert dict(tables.audits["orders"].dropped) == {
        "with a non-finite amount": 1,
        "without a readable ordered_at": 1,
    }
    tables.close()


def test_only_columns_that_are_named_are_read_and_the_others_are_told(shop):
    shop.sql("ALTER TABLE orders ADD secret bytea, ADD place point")
    tables = opened(shop.address("orders"))
    assert tables.audits["orders"].notes == ("ignored columns: note, secret, place",)
    assert tables.fetched.tables["orders"].unread == ("note", "secret", "place")
    tables.close()


def test_arithmetic_over_columns_works_as_in_a_file(postgres):
    postgres.sql(
        "CREATE TABLE lines AS SELECT 1 AS customer_id, '2024-03-01'::date AS ordered_at, "
        '3 AS quantity, 2.5 AS "unit price"'
    )
    (row,) = rows_of(
        opened(postgres.address("lines"), columns={"amount": 'quantity * "unit price"'})
    )
    assert row["amount"] == 7.5


HOSTILE = 't"; drop table orders; --'


def test_hostile_names_of_tables_and_columns_are_only_names(shop):
    """Fault 45."""
    quoted = '"t""; drop table orders; --"'
    shop.sql(f"CREATE TABLE {quoted} (customer_id text, ordered_at date, {quoted} float8)")
    shop.sql(f"INSERT INTO {quoted} VALUES ('ann', '2024-03-01', 5)")
    tables = opened(shop.address(quoted), columns={"amount": HOSTILE})
    assert [row["amount"] for row in rows_of(tables)] == [5.0]
    assert shop.sql("SELECT count(*) FROM orders") == [(2,)]


def test_all_tables_are_seen_at_one_moment(shop, monkeypatch):
    """What others commit between the first table and the second is in neither."""
    from churn.data import databases

    shop.sql("CREATE TABLE customers AS SELECT DISTINCT customer_id FROM orders")
    fetch_table = databases._fetch_table

    def meanwhile(server, table, *more):
        if table == "customers":
            shop.sql("INSERT INTO orders VALUES (99, '2024-05-01', 1, '')")
            shop.sql("INSERT INTO customers VALUES (99)")
        return fetch_table(server, table, *more)

    monkeypatch.setattr(databases, "_fetch_table", meanwhile)
    tables = opened(shop.address("orders"), others={"customers": shop.address("customers")})
    assert tables.count("orders") == tables.count("customers") == 2
    tables.close()


def test_the_digest_is_that_of_the_rows_whatever_their_order(shop):
    def digest():
        fetched = fetch({"orders": OrdersSource(source=shop.address("orders"))})
        found = fetched.tables["orders"].digest
        fetched.close()
        return found

    first = digest()
    shop.sql("UPDATE orders SET note = 'of no concern' WHERE customer_id = 7")  # moves the row
    assert digest() == first
    shop.sql("UPDATE orders SET amount = 12.31 WHERE customer_id = 7")
    assert digest() != first


def test_nothing_of_the_rows_stays_on_disk(shop):
    before = left_behind()
    tables = opened(shop.address("orders"))
    assert len(left_behind()) == len(before) + 1
    tables.close()
    shop.sql("ALTER TABLE orders DROP amount")
    with pytest.raises(DataError, match="lacks column"):
        opened(shop.address("orders"))
    assert left_behind() == before


def test_what_a_killed_run_left_is_removed_by_the_next(shop):
    dead = Path(gettempdir()) / f"{PREFIX}{2**22 + 1}-5-x"
    dead.mkdir()
    (dead / "orders.parquet").write_bytes(b"rows")
    opened(shop.address("orders")).close()
    assert not dead.exists()


def test_a_missing_table_is_named(shop):
    with pytest.raises(DataError, match=r'there is no table postgresql://.*#"Orders"\. Check the'):
        opened(shop.address("Orders"))


def test_a_column_that_is_not_there_is_named_beside_those_that_are(shop):
    with pytest.raises(DataError, match=r"lacks column\(s\) \['amount'\]; it has \['customer_id'"):
        opened(shop.address("orders"), columns={"amount": "total"})


def test_a_table_without_the_right_to_read_it_is_named(shop):
    shop.sql("DROP ROLE IF EXISTS reader")
    shop.sql("CREATE ROLE reader LOGIN PASSWORD 'r3ader'")
    try:
        with pytest.raises(StorageError, match=r"#orders: the user lacks the required rights"):
            opened(shop.address("orders", user="reader", password="r3ader"))
    finally:
        shop.sql("DROP ROLE reader")


def test_a_wrong_password_is_told_and_not_shown(shop):
    with pytest.raises(StorageError, match="password authentication failed") as refused:
        opened(shop.address("orders", password="wr0ng"))
    assert "wr0ng" not in str(refused.value)
    assert refused.value.exit_code == 7


def test_a_database_that_is_not_there_is_told(shop):
    other = shop.address("orders").replace(shop.database, "nowhere")
    with pytest.raises(StorageError, match='database "nowhere" does not exist'):
        opened(other)


def test_a_server_that_is_down_costs_no_time():
    begun = time.monotonic()
    with pytest.raises(StorageError, match="Connection refused"):
        opened("postgresql://ann:s3cret@127.0.0.1:1/shop#orders")
    assert time.monotonic() - begun < 5


def test_a_server_that_never_answers_costs_seconds():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        address = f"postgresql://ann@127.0.0.1:{silent.getsockname()[1]}/shop?connect_timeout=2"
        with pytest.raises(StorageError, match="timeout expired"):
            opened(f"{address}#orders")
    assert time.monotonic() - begun < 10


def test_several_tables_as_one_source_are_refused():
    with pytest.raises(ConfigError, match=r"\[data.orders\] source must be one table"):
        opened(["postgresql://db/shop#a", "postgresql://db/shop#b"])


def test_settings_of_text_files_are_refused_beside_a_database():
    source = OrdersSource(source="postgresql://db/shop#a", decimal=",")
    with pytest.raises(ConfigError, match=r"\[data.orders\] decimal applies to text files"):
        Tables.from_settings(DataSettings(orders=source), folder=Path())


def test_a_source_is_not_shown_with_the_settings():
    assert "s3cret" not in repr(OrdersSource(source="postgresql://ann:s3cret@db/shop#a"))
