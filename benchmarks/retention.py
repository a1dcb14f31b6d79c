"""How fast `churn metrics` and `churn cohorts` are, beside a bare GROUP BY of the same file.

    .venv/bin/python benchmarks/retention.py [--orders FILE] [--customers N] [--rounds N]

Without a file, orders of three years are drawn at random: 8.5 for each customer. Whole processes,
taken in turn; the ratios of a table come from one run. Prints Markdown.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import duckdb
from features.markdown import table
from features.measure import interleaved, own_program

ORDERS = """
COPY (
    SELECT 'c' || lpad(CAST(floor({customers} * pow(random(), 1.3)) AS INT)::VARCHAR, 8, '0')
        AS customer_id,
        'o' || i AS order_id,
        round(5 + 60 * random() * random(), 2) AS amount,
        TIMESTAMP '2022-01-01' + to_seconds(CAST(random() * 94608000 AS BIGINT)) AS ordered_at
    FROM range(CAST(8.5 * {customers} AS BIGINT)) AS numbers(i)
) TO '{file}' (COMPRESSION zstd)
"""
CONFIG = """
[data]
until = 2024-12-31
[data.orders]
source = "{file}"
[churn]
horizon_days = 28
lookback_days = 90
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=Path, metavar="FILE", help="Parquet, until 2024-12-31")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="runs that a median is of")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = asked.orders or Path(folder) / "orders.parquet"
        if asked.orders is None:
            duckdb.execute(ORDERS.format(customers=asked.customers, file=file))
        config = Path(folder) / "churn.toml"
        config.write_text(CONFIG.format(file=file.resolve()), encoding="utf-8")
        churn = [sys.executable, "-m", "churn"]
        options = ["--json", "--config", str(config)]
        commands = {
            "bare GROUP BY": own_program("group_by.py", file),
            "churn metrics": [*churn, "metrics", *options],
            "churn cohorts": [*churn, "cohorts", *options],
        }
        runs = interleaved(commands, asked.rounds)
    bare = runs["bare GROUP BY"]
    heads = ("", "seconds", "ratio", "processor seconds", "ratio", "peak MiB")
    rows = [
        (
            name,
            f"{run.seconds:.1f}",
            f"{run.seconds / bare.seconds:.1f}",
            f"{run.cpu_seconds:.1f}",
            f"{run.cpu_seconds / bare.cpu_seconds:.1f}",
            f"{run.peak_mib:,.0f}",
        )
        for name, run in runs.items()
    ]
    print(table(heads, rows))


if __name__ == "__main__":
    main()
