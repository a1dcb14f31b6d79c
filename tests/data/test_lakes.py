"""Tables of Delta Lake and Iceberg: their addresses, versions, catalogs and refusals."""

import json
import os
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest

from churn.config import load_tables
from churn.errors import ConfigError, DataError, StorageError
from churn.storage.lakes import Iceberg


def orders():
    begin = pd.Timestamp("2024-01-01", tz="UTC")
    rows = [
        {
            "customer_id": f"{n % 9:03d}",
            "order_id": str(n),
            "ordered_at": (begin + pd.Timedelta(hours=7 * n)).to_pydatetime(),
            "amount": n / 7,
            "note": "not read",
        }
        for n in range(600)
    ]
    times = pa.field("ordered_at", pa.timestamp("us", tz="UTC"))
    schema = pa.Table.from_pylist(rows).schema
    return pa.Table.from_pylist(rows, schema.set(schema.get_field_index("ordered_at"), times))


@pytest.fixture
def configured(tmp_path):
    def write(source):
        path = tmp_path / "churn.toml"
        path.write_text(f'[data.orders]\nsource = "{source}"\n')
        return path

    return write


@pytest.fixture
def delta(tmp_path):
    deltalake = pytest.importorskip("deltalake")
    rows = orders()
    deltalake.write_deltalake(tmp_path / "lake/orders", rows.slice(0, 500))
    deltalake.write_deltalake(tmp_path / "lake/orders", rows.slice(500), mode="append")
    return tmp_path / "lake/orders"


@pytest.fixture
def iceberg(tmp_path):
    memory = pytest.importorskip("pyiceberg.catalog.memory")
    catalog = memory.InMemoryCatalog("shop", warehouse=f"file://{tmp_path}/lake")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.orders", schema=orders().schema)
    table.append(orders())
    return table.metadata_location.removeprefix("file://")


def count(config):
    tables = load_tables(config)
    try:
        return tables.count("orders")
    finally:
        tables.close()


def test_an_older_version_of_a_delta_table_can_be_read(configured, delta):
    assert count(configured(f"delta://{delta}")) == 600
    assert count(configured("delta://lake/orders")) == 600
    assert count(configured("delta://lake/orders?version=0")) == 500


def test_an_iceberg_table_is_found_through_its_catalog(configured, tmp_path):
    sql = pytest.importorskip("pyiceberg.catalog.sql")
    uri = f"sqlite:///{tmp_path}/catalog.db"
    catalog = sql.SqlCatalog("lake", uri=uri, warehouse=f"file://{tmp_path}/lake")
    catalog.create_namespace("shop")
    catalog.create_table("shop.orders", schema=orders().schema).append(orders())
    catalog.close()
    named = {"PYICEBERG_CATALOG__LAKE__TYPE": "sql", "PYICEBERG_CATALOG__LAKE__URI": uri}
    config = configured("iceberg://lake#shop.orders")
    checked = subprocess.run(
        [sys.executable, "-m", "churn", "check", "--json", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **named},
    )
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["rows"]["orders"] == 600


def test_an_iceberg_table_is_read_file_by_file(tmp_path):
    """What was read ahead would stay in memory: a file that goes is missed when its turn comes."""
    memory = pytest.importorskip("pyiceberg.catalog.memory")
    catalog = memory.InMemoryCatalog("shop", warehouse=f"file://{tmp_path}/lake")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.orders", schema=orders().schema)
    for start in (0, 200, 400):
        table.append(orders().slice(start, 200))
    place = table.metadata_location.removeprefix("file://")
    address = Iceberg().address(f"iceberg://{place}", what="orders", folder=tmp_path)
    with Iceberg().snapshot(address) as snapshot:
        names = list(snapshot.columns(address, fix=""))
        with snapshot.read(address, names) as (schema, batches):
            assert schema.names == names
            assert sum(batch.num_rows for batch in batches) == 600
        with snapshot.read(address, names) as (_, batches):
            assert next(batches).num_rows == 200
            for file in (tmp_path / "lake").rglob("*.parquet"):
                file.unlink()
            with pytest.raises((DataError, StorageError)):
                next(batches)


def test_a_catalog_that_is_not_configured_is_named(configured):
    pytest.importorskip("pyiceberg")
    with pytest.raises(ConfigError, match="'elsewhere' must be configured for PyIceberg"):
        load_tables(configured("iceberg://elsewhere#shop.orders"))


def test_a_feature_that_the_reader_lacks_is_refused_by_name(configured, delta):
    log = delta / "_delta_log/00000000000000000000.json"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for entry in entries:
        if "protocol" in entry:
            names = ["deletionVectors"]
            entry["protocol"] = {
                **{"minReaderVersion": 3, "minWriterVersion": 7},
                **{"readerFeatures": names, "writerFeatures": names},
            }
    log.write_text("\n".join(json.dumps(entry) for entry in entries))
    with pytest.raises(DataError, match=r"features that its reader lacks.*deletionVectors"):
        load_tables(configured("delta://lake/orders"))


@pytest.mark.parametrize("source", ["delta://lake/nothing", "iceberg://lake/nothing.metadata.json"])
def test_a_table_that_does_not_exist_is_named(configured, delta, iceberg, source):
    with pytest.raises(DataError, match=r"there must be a readable table .*nothing"):
        load_tables(configured(source))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("delta://", "no path"),
        ("delta://lake/orders?at=3", "other options than version=N"),
        ("iceberg://", "no table"),
        ("iceberg://catalog#shop.", "no table"),
    ],
)
def test_an_address_that_names_no_table_is_refused(configured, source, message):
    with pytest.raises(ConfigError, match=message):
        load_tables(configured(source))


def test_a_lake_table_in_a_text_file_setting_is_refused(configured, delta):
    path = configured("delta://lake/orders")
    path.write_text(path.read_text() + 'delimiter = ";"\n')
    with pytest.raises(ConfigError, match="delimiter applies to text files"):
        load_tables(path)
