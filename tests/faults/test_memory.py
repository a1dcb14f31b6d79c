"""Data larger than memory is spilled and completed, or the error names the limit."""

import json
import resource
import subprocess
import sys

import duckdb
import pyarrow.parquet as pq
import pytest

GIBIBYTE_IN_KIB = 1 << 20
WHALE_ROWS = 10_000_000

# A process of its own, so that its peak is its own; the peak goes to standard error. getrusage
# would count what the process that started it held.
RUN = """
import sys
from pathlib import Path
from churn.cli import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """One customer with ten million orders, and a thousand with twenty."""
    path = tmp_path_factory.mktemp("whale") / "orders.parquet"
    rows = f"""
        SELECT CASE WHEN i < {WHALE_ROWS} THEN 'whale' ELSE 'c' || (i % 1000) END AS customer_id,
               'o' || i AS order_id, 5 + (i * 31 % 1000) / 10.0 AS amount,
               TIMESTAMP '2022-01-01' + to_seconds(i * 7919 % 63072000) AS ordered_at
        FROM range({WHALE_ROWS + 20_000}) AS numbers(i)"""
    duckdb.connect().execute(f"COPY ({rows}) TO '{path}'")
    return path


def capped():
    """Limits the memory of the process to one gibibyte."""
    resource.setrlimit(resource.RLIMIT_DATA, (GIBIBYTE_IN_KIB << 10, GIBIBYTE_IN_KIB << 10))


def features(orders, folder, memory_limit):
    """The finished process of `churn features`, limited to one gibibyte, and its peak in KiB."""
    config = folder / "churn.toml"
    config.write_text(
        f'[data]\nmemory_limit = "{memory_limit}"\nuntil = 2024-01-01\n'
        f'[data.orders]\nsource = "{orders}"\n[churn]\nhorizon_days = 28\n'
    )
    options = ["features", "--json", "--config", str(config), "--out", str(folder / "f.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *options],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=capped,
    )
    return done, int(done.stderr.split()[-1])


def test_row_19_a_customer_with_ten_million_rows_completes_within_a_gibibyte(orders, tmp_path):
    done, peak_kib = features(orders, tmp_path, "300MB")
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / "f.parquet").to_pandas().set_index("customer_id")
    assert rows.loc["whale", "orders_count"] == WHALE_ROWS
    assert rows["tenure_days"].between(1, 730).all()
    assert peak_kib < GIBIBYTE_IN_KIB


def test_row_6_a_limit_that_is_too_small_is_named_and_nothing_is_written(orders, tmp_path):
    done, _ = features(orders, tmp_path, "8MB")
    assert done.returncode == 7
    reported = json.loads(done.stdout)["error"]
    assert "memory limit of 7.6 MiB is too small" in reported["rule"]
    assert "memory_limit" in reported["fix"]
    assert not (tmp_path / "f.parquet").exists()
