"""A database of another kind needs no more than the protocol: here SQLite, by its own library."""

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from churn.commands.session import inputs
from churn.config import load_settings, load_tables
from churn.data import databases
from churn.data.databases import DATABASES, is_address
from churn.data.lineage import lineage_of
from churn.errors import ConfigError, DataError


@dataclass(frozen=True)
class SqliteAddress:
    uri: str = field(repr=False)
    database: str
    name: str

    def __str__(self):
        return f"sqlite:///{self.database}#{self.name}"


class SqliteSource:
    schemes = ("sqlite",)

    def address(self, text, *, what, folder):
        path, _, table = text.removeprefix("sqlite:///").partition("#")
        if not table:
            raise ConfigError(f"{what} must name a table", fix="Write sqlite:///file#table.")
        return SqliteAddress(str(folder / path), path, table)

    @contextmanager
    def snapshot(self, address):
        with closing(sqlite3.connect(address.uri)) as connection:
            connection.execute("BEGIN")
            yield SqliteSnapshot(connection)


class SqliteSnapshot:
    def __init__(self, connection):
        self.connection = connection

    def columns(self, address, *, fix):
        asked = "SELECT name, type FROM pragma_table_info(?)"
        found = dict(self.connection.execute(asked, (address.name,)).fetchall())
        if not found:
            raise DataError(f"there is no table {address}", fix=fix)
        return found

    @contextmanager
    def read(self, address, names):
        listed = ", ".join(f'CAST("{name}" AS TEXT)' for name in names)
        rows = self.connection.execute(f'SELECT {listed} FROM "{address.name}"').fetchall()
        schema = pa.schema([(name, pa.string()) for name in names])
        told = [dict(zip(names, row, strict=True)) for row in rows]
        yield schema, iter([pa.RecordBatch.from_pylist(told, schema)])


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "DATABASES", (*DATABASES, SqliteSource()))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (customer_id, ordered_at, amount, note)")
        rows = [("ann", "2024-03-01", 5.5, "a"), ("ben", "2024-03-02", 7, "b")]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
        connection.commit()

    def configured(source="sqlite:///shop.db#orders"):
        (tmp_path / "churn.toml").write_text(f'[data.orders]\nsource = "{source}"\n')
        return tmp_path / "churn.toml"

    return configured


def test_its_tables_are_read_with_the_columns_that_are_needed(shop):
    tables = load_tables(shop())
    rows = tables.engine.rows("SELECT customer_id, amount FROM orders ORDER BY 1")
    assert rows == [{"customer_id": "ann", "amount": 5.5}, {"customer_id": "ben", "amount": 7.0}]
    assert tables.fetched.tables["orders"].unread == ("note",)
    settings = load_settings(shop())
    lineage = lineage_of(settings.data, settings.folder, tables.fetched)
    assert list(lineage["files"]["orders"]) == ["shop.db#orders"]
    tables.close()


def test_its_addresses_are_no_files_and_variables_in_them_are_percent_encoded(shop):
    assert is_address("sqlite:///shop.db#orders")
    config = shop("sqlite:///${DB}#orders")
    settings = load_settings(config, environment={"DB": "a/b"})
    assert settings.data.orders.source == "sqlite:///a%2Fb#orders"
    assert [place.name for place in inputs(shop())] == ["churn.toml", "offers.toml", "ledger.db"]


def test_its_errors_are_those_of_the_source(shop):
    with pytest.raises(ConfigError, match=r"\[data.orders\] source must name a table"):
        load_tables(shop("sqlite:///shop.db"))
    with pytest.raises(DataError, match=r"there is no table sqlite:///shop.db#sales.*after the #"):
        load_tables(shop("sqlite:///shop.db#sales"))
    with pytest.raises(ConfigError, match="must name an existing file"):
        load_tables(shop("oracle:///shop#orders"))
