"""What the list of erased customers costs at import: a million customers, five million orders.

    python benchmarks/erased.py [--customers 1000000]

Without the list, with nobody on it, and with a hundred or ten thousand customers, interleaved.
"""

import argparse
import secrets
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.storage.erasures import Erased, hashed

ORDERS_A_CUSTOMER = 5
KEY = secrets.token_bytes(32)


def orders_of(customers, path):
    """Five orders of each customer."""
    duckdb.sql(
        f"""COPY (SELECT 'customer-' || (n % {customers}) AS customer_id, 'o' || n AS order_id,
                         TIMESTAMP '2023-01-01' + INTERVAL (n % 500) DAY AS ordered_at,
                         n % 97 + .5 AS amount
                  FROM range({ORDERS_A_CUSTOMER * customers}) AS t(n))
            TO '{path}' (FORMAT parquet)"""
    )


def opened(folder, erased):
    """CPU seconds and seconds on the clock to read the orders, and how many were left out."""
    settings = DataSettings(orders=OrdersSource(source="orders.parquet"))
    cpu, wall = time.process_time(), time.perf_counter()
    tables = Tables.from_settings(settings, folder=folder, erased=erased)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    left_out = tables.audits["orders"].dropped.get("erased", 0)
    tables.close()
    return cpu, wall, left_out


def main():
    """Prints a line for each reading."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=1_000_000)
    customers = parser.parse_args().customers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        orders_of(customers, folder / "orders.parquet")
        print(f"{'erased':>10}{'rows left out':>16}{'CPU':>9}{'clock':>9}")
        for count in (None, 0, 100, 10_000) * 2:
            names = (f"customer-{7 * number}" for number in range(count or 0))
            dates = {hashed(KEY, name): date(2024, 1, 1) for name in names}
            cpu, wall, left_out = opened(folder, None if count is None else Erased(KEY, dates))
            listed = "no list" if count is None else f"{count:,}"
            print(f"{listed:>10}{left_out:>16,}{cpu:>7.1f} s{wall:>7.1f} s")


if __name__ == "__main__":
    main()
