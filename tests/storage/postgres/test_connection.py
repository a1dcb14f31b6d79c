"""What goes wrong with a connection is told in a line, and a line holds no secret."""

import sys

import pytest

from churn.errors import ConfigError, DataError, StorageError
from churn.storage.postgres.address import table_address
from churn.storage.postgres.connection import connected


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with (
        pytest.raises(ConfigError, match=r"needs the package .*churnwise\[postgres\]"),
        connected(table_address("postgresql://db/shop#orders")),
    ):
        pass


def test_a_secret_that_the_server_repeats_is_struck_out(postgres):
    """Whoever takes the password for a user name: the server says that name back."""
    address = postgres.address("orders", user="s3cret", password="s3cret")
    told = pytest.raises(StorageError, match=r'for user "\*\*\*"')
    with told as failure, connected(table_address(address)):
        pass
    assert "s3cret" not in str(failure.value)


def test_values_in_a_failed_statement_are_not_told(postgres):
    with (
        connected(table_address(postgres.address("orders"))) as server,
        pytest.raises(DataError, match="values that do not fit their type, code 22P02") as told,
    ):
        server.rows("SELECT CAST($1 AS int) AS n", "ann@example.com")
    assert "example.com" not in str(told.value)


def test_times_are_told_in_utc_whatever_the_server_s_zone(postgres):
    postgres.sql(f"ALTER DATABASE {postgres.database} SET timezone = 'America/New_York'")
    with connected(table_address(postgres.address("orders"))) as server:
        (row,) = server.rows("SELECT '2024-03-01 12:00'::timestamptz::text AS shown")
    assert row["shown"] == "2024-03-01 12:00:00+00"


def test_options_in_the_address_go_before_ours(postgres):
    address = postgres.address("").removesuffix("#") + "?application_name=a%20b%2Bc#orders"
    with connected(table_address(address)) as server:
        (row,) = server.rows("SELECT current_setting('application_name') AS name")
    assert row["name"] == "a b+c"


def test_a_server_that_goes_while_rows_come_is_told(postgres):
    rows = "SELECT n, repeat('x', 100) AS t FROM generate_series(1, 3000000) AS n"
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'churn' AND datname = current_database()"
    )
    with (
        connected(table_address(postgres.address("orders"))) as server,
        server.reading(rows) as (_, batches),
    ):
        assert next(batches).num_rows > 0
        postgres.sql(ended)
        with pytest.raises(StorageError, match=r"cannot use postgresql://.*#orders: "):
            list(batches)
