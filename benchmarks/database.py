"""PostgreSQL beside Parquet: a million rows of a plan written, a shop's orders read.

    python benchmarks/database.py [--customers 1000000]

Starts a server of its own with the settings that PostgreSQL ships with, durable writes included.
"""

import argparse
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).parents[1] / "tests" / "shop"))
from temporary_postgres import running_postgres

from churn.commands.previous_results import PLANS
from churn.data.databases import fetch
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.results.output import outputs, read_result, writing_result
from churn.storage.postgres.address import place_of

ORDERS_A_CUSTOMER = 8.5


@contextmanager
def timed(what, rows):
    """Prints what the block took: on the clock, and of this process's cores."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<42}{rows:>12,}{wall:>9.1f} s{cpu:>9.1f} s of ours")


def plan_of(customers):
    """A plan as wide as a real one."""
    rows = f"""
        SELECT 'c' || lpad(n::VARCHAR, 9, '0') AS customer_id, 'r-1' AS run_id,
               'spring' AS campaign_id, DATE '2024-03-01' AS as_of,
               CASE WHEN n % 5 = 0 THEN 'coupon' ELSE 'none' END AS offer_id,
               'email' AS channel, 'treatment' AS arm, random() AS propensity,
               'lot-' || (n % 7) AS lot, random() AS effect, random() AS effect_low,
               'assumed' AS effect_source, random() AS expected_gain, random() AS expected_cost,
               random() AS expected_value, 'value_not_positive' AS suppression,
               DATE '2024-03-15' AS expires_on
        FROM range({customers}) AS numbers(n)"""
    return duckdb.connect().sql(rows).to_arrow_table().cast(PLANS.schema)


def orders_of(rows, path):
    """Writes so many orders, of shuffled customers."""
    made = f"""
        SELECT 'c' || (hash(n) % {int(rows / ORDERS_A_CUSTOMER)}) AS customer_id,
               'o' || n AS order_id, TIMESTAMP '2022-01-01' + to_seconds(n * 7919 % 63072000)
               AS ordered_at, CAST(5 + (n * 31 % 10000) / 100.0 AS DECIMAL(10, 2)) AS amount
        FROM range({rows}) AS numbers(n)"""
    duckdb.connect().execute(f"COPY ({made}) TO '{path}'")


def into(postgres, table, path):
    """A table that holds a file's orders, amounts as numeric."""
    with postgres.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {table} (customer_id text, order_id text, ordered_at timestamp, "
            "amount numeric(10, 2))"
        )
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(1_000_000):
                amount = batch["amount"].cast(pa.string())
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                part = pa.table({**columns, "amount": amount})
                cursor.adbc_ingest("staged", part, mode="replace")
                cursor.execute(
                    f"INSERT INTO {table} SELECT customer_id, order_id, ordered_at, "
                    "amount::numeric FROM staged"
                )
        cursor.execute("DROP TABLE staged")


def writing(postgres, customers, folder):
    """A plan into a file and into a table, as `churn plan` writes it, digest included."""
    plan = plan_of(customers)
    facts = {"run_id": "r-1", "as_of": str(date(2024, 3, 1))}
    for what, out in (
        ("plan to Parquet", place_of(folder / "plan.parquet")),
        ("plan to a new table", place_of(postgres.address("plans"))),
        ("the same run again, in its place", place_of(postgres.address("plans"))),
    ):
        with timed(what, plan.num_rows):
            with writing_result(out, PLANS) as writer:
                writer.write(plan, facts)
            outputs(out, writer)
    with timed("plan read back from the table, proved", plan.num_rows):
        read_result(place_of(postgres.address("plans")), PLANS)


def reading(postgres, rows, folder):
    """Orders imported from a file and from a table."""
    path = folder / "orders.parquet"
    orders_of(rows, path)
    into(postgres, "orders", path)
    for what, source in (
        ("orders from Parquet, opened", str(path)),
        ("orders from the table, opened", postgres.address("orders")),
    ):
        with timed(what, rows):
            data = DataSettings(orders=OrdersSource(source=source))
            Tables.from_settings(data, folder=folder).close()
    with timed("  of which fetched", rows):
        fetched = fetch({"orders": OrdersSource(source=postgres.address("orders"))})
    with timed("  fingerprint of what was fetched", rows):
        assert fetched.tables["orders"].digest
    fetched.close()


def main():
    """Both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    customers = parser.parse_args().customers
    with running_postgres(durable=True) as server, tempfile.TemporaryDirectory() as folder:
        writing(server, customers, Path(folder))
        reading(server, int(customers * ORDERS_A_CUSTOMER), Path(folder))


if __name__ == "__main__":
    main()
