"""An address names one table of one database, or is refused without a word of it being shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.storage.postgres.address import identifier, is_address, place_of, table_address

SERVER = "postgresql://ann:s3cret@db.example:6543/shop"
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0x2FF), min_size=1, max_size=30
)


@given(schema=st.none() | names, table=names)
def test_any_name_comes_through_quoted_and_nothing_else_is_made_of_it(schema, table):
    written = ".".join(identifier(part) for part in (schema, table) if part is not None)
    address = table_address(f"{SERVER}#{written}")
    assert (address.schema, address.table) == (schema, table)
    assert address.uri == SERVER
    assert table_address(f"{SERVER}#{address.name}").name == address.name


@given(name=names)
def test_a_quoted_name_is_closed_by_its_last_quote_alone(name):
    assert identifier(name)[1:-1].replace('""', "") == name.replace('"', "")


def test_a_bare_name_is_taken_as_it_is_written():
    address = table_address(f"{SERVER}#Sales.Order lines")
    assert (address.schema, address.table) == ("Sales", "Order lines")


def test_an_address_shows_neither_user_nor_password():
    address = table_address(f"{SERVER}?password=other&sslmode=require#orders")
    for shown in (str(address), repr(address), address.name, address.server):
        assert "s3cret" not in shown
        assert "other" not in shown
        assert "ann" not in shown
    assert str(address) == "postgresql://db.example:6543/shop#orders"


def test_a_run_may_be_named_behind_the_table():
    assert table_address(f"{SERVER}#a.scores?run_id=nightly-1").run_id == "nightly-1"


def test_a_socket_is_named_by_an_option():
    address = table_address("postgresql:///shop?host=/var/run/postgresql#orders")
    assert (address.host, address.database) == ("/var/run/postgresql", "shop")


@pytest.mark.parametrize(
    "written",
    [
        "postgres://db/shop#orders",
        "postgresql:/db/shop#orders",
        "POSTGRESQL://db/shop#orders",
        "postgresql://db/shop",
        "postgresql://db/shop#",
        "postgresql://db#orders",
        "postgresql://db/#orders",
        "postgresql://db/shop/more#orders",
        "postgresql://db:port/shop#orders",
        "postgresql://one,two:5432/shop#orders",
        "postgresql://db/shop?sslmode#orders",
        'postgresql://db/shop#t"; drop table orders; --',
        'postgresql://db/shop#"t"; drop table orders; --"',
        "postgresql://db/shop#a.b.c",
        "postgresql://db/shop#.b",
        "postgresql://db/shop#orders?run_id=",
        "postgresql://db/shop#orders?run_id=../x",
        "postgresql://db/shop#orders?where=1",
        "postgresql://db/shop#or\nders",
        "postgresql://db/shop#or\0ders",
        f"postgresql://db/shop#{'x' * 64}",
    ],
)
def test_anything_else_is_refused(written):
    with pytest.raises(ConfigError, match="must name one PostgreSQL table"):
        table_address(written)


@pytest.mark.parametrize("secret", ["s3/cret", "s3#cret", "s3?cret", "s3@cret", "12/3@cret", "1#s"])
def test_a_password_that_is_not_encoded_is_refused_and_not_shown(secret):
    with pytest.raises(ConfigError) as refused:
        table_address(f"postgresql://ann:{secret}@db/shop#orders")
    assert secret not in str(refused.value)
    assert "cret" not in str(refused.value)


def test_files_and_tables_are_told_apart():
    assert not is_address("postgresql.parquet")
    assert place_of("out/scores.parquet").name == "scores.parquet"
    assert place_of(f"{SERVER}#orders").table == "orders"
