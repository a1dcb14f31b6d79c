"""Memory while a table of a database or a lake is read: one million rows beside ten.

    python benchmarks/sources.py [postgresql sqlite delta iceberg]

Each reading is a process of its own; the peak is that of its resident memory, the libraries that it
loads included. PostgreSQL is a server of its own, the others are files.
"""

import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import duckdb

sys.path.append(str(Path(__file__).parents[1] / "tests" / "shop"))
from temporary_postgres import running_postgres

SIZES = (1_000_000, 10_000_000)
STEP = 500_000
SQL = """SELECT 'c' || (hash(n) % 1000000) AS customer_id, 'o' || n AS order_id,
    TIMESTAMPTZ '2022-01-01 00:00+00' + to_seconds(n * 7919 % 63072000) AS ordered_at,
    CAST(5 + (n * 31 % 10000) / 100.0 AS DECIMAL(10, 2)) AS amount
    FROM range({first}, {last}) AS numbers(n)"""
KIND = "customer_id text, order_id text, ordered_at timestamptz, amount numeric(10, 2)"


def batches(rows):
    """Arrow tables of orders."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for first in range(0, rows, STEP):
        last = min(first + STEP, rows)
        yield connection.sql(SQL.format(first=first, last=last)).to_arrow_table()


def postgresql(rows, _, server):
    """In a table of PostgreSQL."""
    table = f"orders_{rows}"
    server.sql(f"CREATE TABLE {table} ({KIND})")
    server.sql(
        f"INSERT INTO {table} SELECT 'c' || n * 7919 % 1000000, 'o' || n, "
        "timestamptz '2022-01-01' + n * 7919 % 63072000 * interval '1 s', "
        f"5 + (n * 31 % 10000) / 100.0 FROM generate_series(1::bigint, {rows}) n"
    )
    return server.address(table)


def sqlite(rows, folder, _):
    """In a file of SQLite."""
    with closing(sqlite3.connect(folder / f"{rows}.db")) as connection:
        connection.execute("CREATE TABLE orders (customer_id, order_id, ordered_at, amount)")
        connection.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
            f"WHERE n < {rows}) INSERT INTO orders SELECT 'c' || n * 7919 % 1000000, 'o' || n, "
            "datetime('2022-01-01', (n * 7919 % 63072000) || ' seconds'), "
            "5 + (n * 31 % 10000) / 100.0 FROM numbers"
        )
        connection.commit()
    return f"adbc://sqlite?uri={folder}/{rows}.db#orders"


def delta(rows, folder, _):
    """In a table of Delta Lake."""
    import deltalake

    for part in batches(rows):
        deltalake.write_deltalake(folder / f"delta-{rows}", part, mode="append")
    return f"delta://{folder}/delta-{rows}"


def iceberg(rows, folder, _):
    """In a table of Iceberg."""
    from pyiceberg.catalog.memory import InMemoryCatalog

    catalog = InMemoryCatalog("shop", warehouse=f"file://{folder}/iceberg-{rows}")
    catalog.create_namespace("shop")
    table = None
    for part in batches(rows):
        table = table or catalog.create_table("shop.orders", schema=part.schema)
        table.append(part)
    return f"iceberg://{table.metadata_location.removeprefix('file://')}"


def read(address):
    """Prints the rows, the peak in MiB, and the CPU seconds of one reading."""
    import pyarrow.parquet as pq

    from churn.data.databases import fetch
    from churn.data.settings import OrdersSource

    begun = time.process_time()
    fetched = fetch({"orders": OrdersSource(source=address)})
    spent = time.process_time() - begun
    status = Path("/proc/self/status").read_text()  # ru_maxrss begins with that of the parent
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    rows = pq.read_metadata(fetched.tables["orders"].path).num_rows
    fetched.close()
    print(f"| {rows:>12,} | {peak:>8,.0f} | {spent:>6.1f} |", flush=True)


def main():
    """Every source in both sizes."""
    if sys.argv[1:2] == ["read"]:
        read(sys.argv[2])
        return
    writers = {one.__name__: one for one in (postgresql, sqlite, delta, iceberg)}
    print("| source | rows | peak MiB | CPU s |\n|---|---|---|---|", flush=True)
    for name in sys.argv[1:] or writers:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(running_postgres()) if name == "postgresql" else None
            for rows in SIZES:
                address = writers[name](rows, folder, server)
                print(f"| {name} ", end="", flush=True)
                subprocess.run([sys.executable, __file__, "read", address], check=True)


if __name__ == "__main__":
    main()
