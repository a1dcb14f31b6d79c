"""What goes wrong with a connection is told in a line, and a line holds no secret."""

import sys

import pytest

from churn.errors import ConfigError, DataError, StorageError
from churn.files.postgres.address import table_address
from churn.files.postgres.connection import connected


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
    with pytest.raises(StorageError, match=r'for user "\*\*\*"') as told:
        with connected(table_address(address)):
            pass
    assert "s3cret" not in str(told.value)


def test_values_in_a_failed_statement_are_not_told(postgres):
    with connected(table_address(postgres.address("orders"))) as server:
        with pytest.raises(
            DataError, match="values that do not fit their type, code 22P02"
        ) as told:
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
