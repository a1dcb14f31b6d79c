"""Writing the published file of many customers, against merely copying the same rows.

    python benchmarks/publish.py --customers 1000000

Prints the seconds of `write_page` (tables sorted and joined, documents, views, overview), those of
copying the same Arrow tables into an empty DuckDB file as they are, and their ratio, all within one
run; then the size, and the seconds of reading the overview back.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

sys.path.append(str(Path(__file__).parents[1] / "tests/shop"))
from small_documents import DOCUMENTS, ROW

from churn.reporting.overview import overview_in
from churn.reporting.page_tables import Page, write_page
from churn.reporting.published import Published

REASONS = [f"Bought on {n} of the last 30 days and on {n + 3} of the last 90." for n in range(20)]


def tables_of(customers: int, rows_each: int, seed: int = 7) -> dict[str, pa.Table]:
    """Scores, measures, plan, consents and a timeline of that many customers."""
    rng = np.random.default_rng(seed)
    ids = pa.array([f"c{n:08d}" for n in rng.permutation(customers)])
    at_risk = rng.random(customers) < 0.1
    reasons = pa.array(REASONS).take(pa.array(rng.integers(0, 20, 3 * int(at_risk.sum()))))
    ends = np.concatenate([[0], np.cumsum(3 * at_risk)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), reasons)
    scores = pa.table(
        {
            "customer_id": ids,
            "as_of": pa.repeat(pa.scalar(ROW.as_of), customers),
            "status": pa.repeat(pa.scalar("eligible"), customers),
            "segment": pa.array(["best", "loyal", "regular"]).take(
                pa.array(rng.integers(0, 3, customers))
            ),
            "churn_probability": rng.random(customers),
            "value_at_risk": rng.gamma(2.0, 20.0, customers),
            "risk_band": pa.array(["low", "high"]).take(pa.array(at_risk.astype(int))),
            "at_risk": pa.array(at_risk),
            "reasons": lists,
            "reason_families": lists,
        }
    )
    offered = rng.random(customers) < 0.3
    plan = pa.table(
        {
            "customer_id": ids,
            "offer_id": pa.array(["none", "coupon"]).take(pa.array(offered.astype(int))),
            "arm": pa.repeat(pa.scalar("treatment"), customers),
            "suppression": pa.array([None if one else "budget_exhausted" for one in offered]),
            "channel": pa.array(["email" if one else None for one in offered]),
            "expected_value": rng.random(customers),
            "propensity": np.ones(customers),
        }
    )
    measures = pa.table(
        {
            "customer_id": ids,
            **{name: rng.random(customers) for name in ("recency_days", "frequency", "monetary")},
        }
    )
    consents = pa.table(
        {
            "customer_id": ids,
            "channel": pa.repeat(pa.scalar("email"), customers),
            "purpose": pa.repeat(pa.scalar("marketing"), customers),
            "granted": pa.array(rng.random(customers) < 0.8),
        }
    )
    happened = pa.table(
        {
            "customer_id": ids.take(pa.array(rng.integers(0, customers, customers * rows_each))),
            "day": 15_000 + 365 * rng.random(customers * rows_each),
            "kind": pa.repeat(pa.scalar("order"), customers * rows_each),
            "what": pa.repeat(pa.scalar("web"), customers * rows_each),
            "amount": rng.gamma(2.0, 20.0, customers * rows_each),
        }
    )
    return {
        "base": scores,
        "measures": measures,
        "plan": plan,
        "consents": consents,
        "timeline": happened,
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--timeline", type=int, default=5, help="rows per customer")
    asked = parser.parse_args()
    tables = tables_of(asked.customers, asked.timeline)
    with tempfile.TemporaryDirectory() as folder:
        copied, published = Path(folder, "copied.duckdb"), Path(folder, "page.duckdb")
        begin = time.perf_counter(), time.process_time()
        with duckdb.connect(str(copied)) as connection:
            for name, table in tables.items():
                connection.register("rows", table)
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows")
                connection.unregister("rows")
        middle = time.perf_counter(), time.process_time()
        write_page(published, Page(row=ROW, documents=DOCUMENTS, **tables))
        end = time.perf_counter(), time.process_time()
        wall, cpu = (middle[n] - begin[n] for n in (0, 1))
        own_wall, own_cpu = (end[n] - middle[n] for n in (0, 1))
        print(f"copied     {wall:6.2f} s   {cpu:6.2f} CPU s")
        print(f"published  {own_wall:6.2f} s   {own_cpu:6.2f} CPU s")
        print(f"ratio      {own_wall / wall:6.2f}     {own_cpu / cpu:6.2f}")
        print(f"size       {published.stat().st_size / 1e6:6.0f} MB")
        begin_read = time.perf_counter()
        with Published(published) as page:
            overview_in(page)
        print(f"overview   {1e3 * (time.perf_counter() - begin_read):6.0f} ms, file opened")


if __name__ == "__main__":
    main()
