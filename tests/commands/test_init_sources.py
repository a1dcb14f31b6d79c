"""`churn init` on every kind of source, after which the same orders give the same features."""

import gzip
import sqlite3
import tomllib
from contextlib import closing
from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.commands.init import init, init_result
from churn.config import load_tables
from churn.errors import ConfigError, DataError
from churn.features.builder import build_features
from churn.features.clock import FeatureClock

ROWS = 600
SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("order_id", pa.string()),
        ("ordered_at", pa.timestamp("us", tz="UTC")),
        ("amount", pa.decimal128(10, 2)),
        ("discount", pa.float64()),
    ]
)


def orders():
    """Ids that look like numbers, amounts in cents, discounts with all their digits, blanks."""
    begin = pd.Timestamp("2024-01-01", tz="UTC")
    return pa.Table.from_pylist(
        [
            {
                "customer_id": f"{n % 9:03d}",
                "order_id": f"A{n}",
                "ordered_at": (begin + pd.Timedelta(hours=7 * n)).to_pydatetime(),
                "amount": Decimal(n * 37 % 9_973 + 1) / 100,
                "discount": None if n % 3 else (n % 41) / 301,
            }
            for n in range(ROWS)
        ],
        SCHEMA,
    )


def text_of(rows):
    """CSV with times of a zone; a float has the shortest digits that give it back."""
    return rows.to_pandas().to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S%z")


def as_csv(folder, rows, _):
    (folder / "orders.csv").write_text(text_of(rows))
    return folder / "orders.csv"


def as_gzip(folder, rows, _):
    with gzip.open(folder / "orders.csv.gz", "wt") as file:
        file.write(text_of(rows))
    return folder / "orders.csv.gz"


def as_folder(folder, rows, _):
    (folder / "months").mkdir()
    (folder / "months/1.csv").write_text(text_of(rows.slice(0, 250)))
    (folder / "months/2.csv").write_text(text_of(rows.slice(250)))
    return folder / "months"


def as_parquet(folder, rows, _):
    pq.write_table(rows, folder / "orders.parquet")
    return folder / "orders.parquet"


def as_workbook(folder, rows, _):
    """Excel knows neither zones nor decimals."""
    frame = rows.to_pandas()
    frame["ordered_at"] = frame["ordered_at"].dt.tz_localize(None)
    frame["amount"] = frame["amount"].astype(float)
    with pd.ExcelWriter(folder / "orders.xlsx", engine="xlsxwriter") as book:
        frame.to_excel(book, index=False)
    return folder / "orders.xlsx"


def as_sqlite(folder, rows, _):
    frame = rows.to_pandas()
    frame["amount"] = frame["amount"].astype(float)
    frame["ordered_at"] = frame["ordered_at"].map(pd.Timestamp.isoformat)
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        frame.to_sql("orders", connection, index=False)
        connection.commit()
    return "adbc://sqlite?uri=shop.db#orders"


def as_delta(folder, rows, _):
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake(folder / "lake/orders", rows.slice(0, 500))
    deltalake.write_deltalake(folder / "lake/orders", rows.slice(500), mode="append")
    return "delta://lake/orders"


def as_iceberg(folder, rows, _):
    memory = pytest.importorskip("pyiceberg.catalog.memory")
    catalog = memory.InMemoryCatalog("shop", warehouse=f"file://{folder}/lake")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.orders", schema=rows.schema)
    table.append(rows)
    return f"iceberg://{table.metadata_location.removeprefix('file://')}"


def as_postgres(_, rows, postgres):
    types = "customer_id text, order_id text, ordered_at timestamptz, amount numeric(10, 2)"
    postgres.sql(f"CREATE TABLE orders ({types}, discount double precision)")
    with postgres.cursor() as cursor:
        texts = rows.set_column(3, "amount", rows["amount"].cast(pa.string()))
        cursor.adbc_ingest("loaded", texts)
        cursor.execute(
            "INSERT INTO orders SELECT customer_id, order_id, ordered_at, "
            "amount::numeric, discount FROM loaded"
        )
    return postgres.address("orders").replace(postgres.password, "${SHOP_PASSWORD}")


FILES = (as_gzip, as_folder, as_parquet)
TABLES = (as_postgres, as_sqlite, as_delta, as_iceberg)


def features_of(source, folder):
    """The features from settings that `churn init` wrote, as bytes."""
    result = init_result([source], out=folder / "churn.toml")
    assert (result.exit_code, result.rows["orders"]) == (0, ROWS), result.failure
    tables = load_tables(folder / "churn.toml")
    try:
        clock = FeatureClock(horizon_days=28, lookback_days=56)
        built = build_features(tables, [date(2024, 6, 1)], clock)
        found = tables.engine.collect(built).sort_by("customer_id").combine_chunks()
    finally:
        tables.close()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema) as stream:
        stream.write_table(found)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv")
    return features_of(as_csv(folder, orders(), None), folder)


@pytest.mark.parametrize("write", FILES)
def test_files_of_any_kind_give_the_features_of_a_csv(write, expected, tmp_path):
    assert features_of(write(tmp_path, orders(), None), tmp_path) == expected


@pytest.mark.parametrize("write", TABLES)
def test_tables_of_databases_and_lakes_give_the_features_of_a_csv(
    write, expected, postgres, tmp_path, monkeypatch
):
    monkeypatch.setenv("SHOP_PASSWORD", postgres.password)
    source = write(tmp_path, orders(), postgres)
    assert features_of(source, tmp_path) == expected
    written = (tmp_path / "churn.toml").read_text()
    assert tomllib.loads(written)["data"]["orders"]["source"] == source
    assert postgres.password not in written


def test_a_workbook_gives_the_features_of_a_csv_with_the_digits_that_excel_keeps(tmp_path):
    rows = orders().drop_columns("discount")
    expected = features_of(as_csv(tmp_path, rows, None), tmp_path)
    folder = tmp_path / "excel"
    folder.mkdir()
    assert features_of(as_workbook(folder, rows, None), folder) == expected


def test_a_password_is_not_written_into_settings(tmp_path):
    for address in (
        "postgresql://ann:s3cret@db.example/shop#orders",
        "postgresql://db.example/shop?user=ann&password=s3cret#orders",
    ):
        with pytest.raises(ConfigError, match=r"must not contain a password.*\$\{SHOP") as refused:
            init([address], out=tmp_path / "churn.toml")
        assert "s3cret" not in str(refused.value)
    assert not (tmp_path / "churn.toml").exists()


def test_a_table_whose_columns_are_no_orders_is_named_and_leaves_nothing(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER, note TEXT)")
        connection.execute("INSERT INTO notes VALUES (1, 'x')")
        connection.commit()
    source = "adbc://sqlite?uri=shop.db#notes"
    with pytest.raises(DataError, match="adbc://sqlite#notes must have columns for"):
        init([source], out=tmp_path / "churn.toml")
    with pytest.raises(ConfigError, match="must be one table of a database, or files"):
        init([source, "orders.csv"], out=tmp_path / "churn.toml")
    assert not (tmp_path / "churn.toml").exists()


def test_decimal_commas_in_a_table_are_detected_and_need_no_setting(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (kunde, datum, betrag)")
        rows = [(f"k{n % 7}", f"{n % 28 + 1:02d}.03.2024", f"{n},5") for n in range(90)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        connection.commit()
    result = init_result(["adbc://sqlite?uri=shop.db#orders"], out=tmp_path / "churn.toml")
    assert (result.exit_code, result.rows["orders"]) == (0, 90), result.failure
    assert result.metrics["overview"]["total"]["revenue"] == sum(n + 0.5 for n in range(90))
