"""`churn export` of a million planned offers, as a whole process: Parquet, CSV, table, audience.

    python benchmarks/export.py [--customers 1000000]

Everybody is offered something, so no row is saved; consent is looked up for each. One order a
customer: reading a shop's tables is measured elsewhere.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

sys.path.append(str(Path(__file__).parents[1] / "tests" / "shop"))
from temporary_postgres import running_postgres

from churn.commands.previous_results import PLANS
from churn.results.output import writing_table
from churn.storage.ledger import Ledger
from churn.storage.records import PlanRow

PLANNED_ON = date(2024, 3, 1)
CONFIG = """
[data.orders]
source = "orders.parquet"
[data.customers]
source = "customers.parquet"
[data.consents]
source = "consents.parquet"
[offers]
phone_region = "US"
"""
NAME = "'c' || lpad(n::VARCHAR, 9, '0') AS customer_id"
TABLES = {
    "orders": f"SELECT {NAME}, n::VARCHAR AS order_id, TIMESTAMP '2024-02-01' AS ordered_at, "
    "10.0 AS amount",
    "customers": f"SELECT {NAME}, 'c' || n || '@example.com' AS email, "
    "'+1650555' || lpad((n % 10000)::VARCHAR, 4, '0') AS phone",
    "consents": f"SELECT {NAME}, 'ads' AS channel, 'marketing' AS purpose, n % 20 > 0 AS granted, "
    "TIMESTAMP '2024-01-01' AS changed_at",
}
PLAN = f"""
    SELECT {NAME}, 'r-1' AS run_id, 'spring' AS campaign_id, DATE '2024-03-01' AS as_of,
           'coupon' AS offer_id, 'ads' AS channel, 'treatment' AS arm, 0.9 AS propensity,
           'lot-1' AS lot, random() AS effect, random() AS effect_low,
           'assumed' AS effect_source, random() AS expected_gain, random() AS expected_cost,
           random() AS expected_value, NULL AS suppression, DATE '2024-03-15' AS expires_on"""


def shop_with_a_plan(folder, customers):
    """A shop's files, and a plan on record for all of its customers."""
    (folder / "churn.toml").write_text(CONFIG)
    numbers = f" FROM range({customers}) AS numbers(n)"
    for name, columns in TABLES.items():
        duckdb.connect().execute(f"COPY ({columns}{numbers}) TO '{folder / name}.parquet'")
    plan = duckdb.connect().sql(PLAN + numbers).to_arrow_table().cast(PLANS.schema)
    with Ledger(folder / "ledger.db") as ledger:
        ledger.start_run("plan", run_id="r-1", as_of=PLANNED_ON)
        rows = zip(plan["customer_id"].to_pylist(), plan["expected_cost"].to_pylist(), strict=True)
        ledger.record_plan("r-1", (planned(name, cost) for name, cost in rows))
        ledger.finish_run("r-1", status="done")
    with writing_table(folder / "plan.parquet") as writer:
        writer.write(plan, {"run_id": "r-1", "as_of": str(PLANNED_ON)})


def planned(customer_id, expected_cost):
    """A row of the ledger."""
    return PlanRow(
        customer_id=customer_id,
        campaign_id="spring",
        as_of=PLANNED_ON,
        offer_id="coupon",
        channel="ads",
        arm="treatment",
        propensity=0.9,
        expected_cost=expected_cost,
    )


def exported(folder, what, *options):
    """Runs the command, and prints how long it took."""
    command = [sys.executable, "-m", "churn", "export", folder / "plan.parquet", *options]
    began = time.perf_counter()
    subprocess.run([*command, "-c", folder / "churn.toml"], check=True, capture_output=True)
    print(f"{what:<24}{time.perf_counter() - began:>8.1f} s", flush=True)


def main():
    """All of them, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    with running_postgres(durable=True) as server, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shop_with_a_plan(folder, parser.parse_args().customers)
        exported(folder, "Parquet", "--to", folder / "list.parquet")
        exported(folder, "CSV", "--to", folder / "list.csv")
        exported(folder, "table of PostgreSQL", "--to", server.address("list"))
        exported(folder, "audience of hashes", "--to", folder / "meta.csv", "--audience", "meta")


if __name__ == "__main__":
    main()
