"""The door for ADBC drivers, with SQLite: the same features as from files, to the last bit."""

import sqlite3
from contextlib import closing
from datetime import date

import pandas as pd
import pytest

from churn.config import load_settings, load_tables
from churn.errors import ConfigError, DataError, StorageError
from churn.features.builder import build_features
from churn.features.clock import FeatureClock

ADDRESS = "adbc://sqlite?uri=shop.db#orders"


def orders():
    """Amounts in cents and with all their digits, ids that look like numbers, missing values."""
    begin = pd.Timestamp("2024-01-01", tz="UTC")
    return pd.DataFrame(
        [
            {
                "customer_id": f"{n % 9:03d}",
                "order_id": str(n),
                "ordered_at": (begin + pd.Timedelta(hours=7 * n)).isoformat(),
                "amount": n / 7 if n % 5 else (n % 97) / 100,
                "discount": None if n % 3 or n < 1_200 else 0.1,
            }
            for n in range(1_500)
        ]
    )


@pytest.fixture
def shop(tmp_path):
    rows = orders()
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        rows.to_sql("orders", connection, index=False)
        connection.commit()
    rows.to_csv(tmp_path / "orders.csv", index=False)
    rows.to_parquet(tmp_path / "orders.parquet", index=False)

    def configured(source):
        path = tmp_path / "churn.toml"
        path.write_text(f'[data.orders]\nsource = "{source}"\n')
        return path

    return configured


def features(config):
    tables = load_tables(config)
    try:
        clock = FeatureClock(horizon_days=28, lookback_days=56)
        built = build_features(tables, [date(2025, 1, 1)], clock)
        return tables.engine.collect(built).sort_by("customer_id").to_pydict()
    finally:
        tables.close()


def test_features_are_the_same_from_sqlite_csv_and_parquet(shop):
    found = features(shop(ADDRESS))
    assert found["customer_id"][0] == "000"
    for file in ("orders.csv", "orders.parquet"):
        other = features(shop(file))
        assert str(found) == str(other)  # NaN equals itself as text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("adbc://oracle?uri=x#orders", "another driver than sqlite"),
        ("adbc://sqlite?uri=shop.db", "no table after a #"),
        ("adbc://sqlite?uri=other.db#orders", "a SQLite file that exists, got other.db"),
    ],
)
def test_an_address_that_names_no_table_is_refused(shop, source, message):
    with pytest.raises(ConfigError, match=message):
        load_tables(shop(source))


def test_a_missing_table_and_one_that_is_named_like_sql_are_refused(shop, tmp_path):
    """Row 45: a name is quoted, whatever it is."""
    for name in ("nothing", "t%22%3B%20drop%20table%20orders"):
        with pytest.raises(DataError, match="there must be a readable table"):
            load_tables(shop(f"adbc://sqlite?uri=shop.db#{name}"))
    assert features(shop(ADDRESS))["customer_id"]


def test_a_driver_that_is_not_installed_is_named_with_its_extra(shop):
    with pytest.raises(ConfigError, match=r"churnwise\[snowflake\]"):
        load_tables(shop("adbc://snowflake?uri=ann:secret-word@account#ORDERS"))


def test_no_message_shows_an_option(shop):
    settings = load_settings(shop("adbc://sqlite?uri=shop.db&password=secret-word#nothing"))
    with pytest.raises(StorageError, match="cannot connect to adbc://sqlite#nothing") as refused:
        load_tables(settings.folder / "churn.toml")
    assert "secret-word" not in str(refused.value)
