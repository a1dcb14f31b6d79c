"""A/A tests: how often `churn measure` finds an effect where nothing was done.

    .venv/bin/python benchmarks/measure_nothing.py [SHOP ...] [--draws N] [--served SHARE]

Shops: complete_journey (after `make train`), online_retail, cdnow (both from ../shared/data, which
is no part of the project) and simulated. Customers who bought in the horizon before a date are
divided at random, 2,000 times, with a tenth held out; no campaign took place, so every effect that
is called clear is false. Covariate of CUPED: the margin of the horizon before. Prints Markdown;
`normal` is what Welch's interval with normal quantiles would have called clear.

With `--served`, how much narrower the interval of the incremental margin is if only the customers
are compared whom a plan would serve, here that share who bought longest ago.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import churn
from churn.campaigns.measurement.analysis import OUTCOMES, Effect, analyse
from churn.campaigns.measurement.difference import Difference, Z
from churn.campaigns.measurement.rows import Measured, measured_rows
from churn.commands.simulate import simulate
from churn.data.days import day_number
from churn.data.labels import outcomes
from churn.offers.arms import hash_position

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
SHARE = 0.1


def complete_journey() -> tuple[churn.Tables, date, int]:
    """Grocery: 28 days from 2017-11-27."""
    return churn.load_tables(ROOT / "churn.toml"), date(2017, 11, 27), 28


def online_retail() -> tuple[churn.Tables, date, int]:
    """Gift wholesaler with very unequal customers: 84 days from 2011-09-10."""
    lines = pd.read_parquet(SHARED / "online_retail_ii" / "online_retail_ii.parquet")
    lines = lines[lines["CustomerID"].notna()]
    orders = pd.DataFrame(
        {
            "customer_id": lines["CustomerID"].astype(str),
            "order_id": lines["InvoiceNo"].astype(str),
            "ordered_at": lines["InvoiceDate"],
            "amount": lines["Quantity"] * lines["UnitPrice"],
        }
    )
    by_order = orders.groupby(["customer_id", "order_id"], as_index=False)
    orders = by_order.agg(ordered_at=("ordered_at", "min"), amount=("amount", "sum"))
    return churn.Tables.from_frames(orders, currency="GBP"), date(2011, 9, 10), 84


def cdnow() -> tuple[churn.Tables, date, int]:
    """Compact discs: 84 days from 1997-10-01."""
    found = pd.read_parquet(SHARED / "cdnow_sample" / "cdnow_sample.parquet")
    orders = found.rename(columns={"date": "ordered_at"})[["customer_id", "ordered_at", "amount"]]
    orders = orders.assign(
        customer_id=orders["customer_id"].astype(str),
        ordered_at=pd.to_datetime(orders["ordered_at"].astype(str)),
    )
    return churn.Tables.from_frames(orders), date(1997, 10, 1), 84


def simulated() -> tuple[churn.Tables, date, int]:
    """A simulated shop of 5,000 customers: the newest 28 days."""
    with TemporaryDirectory() as folder:
        simulate(Path(folder) / "shop", customers=5_000, seed=1)
        tables = churn.load_tables(Path(folder) / "shop/churn.toml")
        return tables, tables.end() - timedelta(days=28), 28


SHOPS: dict[str, Callable[[], tuple[churn.Tables, date, int]]] = {
    "complete_journey": complete_journey,
    "online_retail": online_retail,
    "cdnow": cdnow,
    "simulated": simulated,
}


def nothing_done(tables: churn.Tables, start: date, horizon_days: int) -> Measured:
    """The outcome of a plan that gave nobody anything."""
    before = start - timedelta(days=horizon_days)
    past = tables.engine.collect(
        outcomes(tables, churn.Cutoffs((before,), horizon_days, start))
    ).to_pandas()
    past = past[past["horizon_orders"] > 0].set_index("customer_id")
    planned = pd.DataFrame({"customer_id": past.index}).assign(
        campaign_id="nothing",
        as_of=start,
        offer_id="none",
        arm="treatment",
        propensity=1 - SHARE,
        expected_cost=0.0,
    )
    end = start + timedelta(days=horizon_days + tables.arrival_lag_days())
    return measured_rows(
        planned,
        tables.as_of(end),
        churn.Offers.load(ROOT / "examples/offers.toml"),
        horizon_days=horizon_days,
        margin_rate=1.0,
        scores=past[["horizon_net_spend"]].set_axis(["expected_margin"], axis="columns"),
    )


def drawn(measured: Measured, number: int) -> dict[str, Effect]:
    """The effects of one random division; none if the sample ratio check rejects it."""
    kept = hash_position(measured.frame["customer_id"], salt=f"draw {number}") < SHARE
    frame = measured.frame.assign(kept=kept)
    return dict(analyse(replace(measured, frame=frame), {"holdout": SHARE}).effects)


def report(name: str, draws: int) -> None:
    """Prints a row of Markdown for each outcome of the shop."""
    measured = nothing_done(*SHOPS[name]())
    found = [effects for n in range(draws) if (effects := drawn(measured, n))]
    customers = f"{len(measured.frame):,}"
    for outcome in OUTCOMES:
        plain = [effects[outcome].plain for effects in found]
        best = [effects[outcome].best for effects in found]
        normal = np.mean([abs(one.estimate) > Z * one.error for one in plain])
        sides = [f"{_share(some, side)}" for some in (plain, best) for side in (-1, 1)]
        widths = [np.subtract(*reversed(one.interval())) for one in plain]
        narrower = np.mean([np.subtract(*reversed(one.interval())) for one in best])
        print(
            f"| {name} | {customers} | {outcome} | {normal:.1%} | {' | '.join(sides)} "
            f"| {narrower / np.mean(widths):.2f} |"
        )
    print(f"\n{name}: {draws - len(found)} of {draws:,} draws rejected for their group sizes\n")


def report_served(name: str, served: float, draws: int) -> None:
    """Prints half the mean width of the interval of the incremental margin of everybody, and of
    the customers whom a plan would serve.
    """
    tables, start, horizon_days = SHOPS[name]()
    found = tables.engine.rows(
        "SELECT customer_id, max(local_day) AS day FROM orders "
        f"WHERE amount > 0 AND local_day < {day_number(start)} GROUP BY customer_id"
    )
    last = {str(row["customer_id"]): int(str(row["day"])) for row in found}
    everybody = nothing_done(tables, start, horizon_days)
    newest = everybody.frame["customer_id"].map(last)
    is_served = newest.rank(method="first") <= served * len(newest)
    frame = everybody.frame.assign(compared=is_served)
    widths = []
    for measured in (everybody, replace(everybody, frame=frame)):
        effects = [one["margin"] for n in range(draws) if (one := drawn(measured, n))]
        widths.append(np.mean([_half_width(effect) for effect in effects]))
    print(
        f"| {name} | {len(newest):,} | {is_served.sum():,} | {widths[0]:,.0f} "
        f"| {widths[1]:,.0f} | {widths[1] / widths[0]:.2f} |"
    )


def _half_width(effect: Effect) -> float:
    low, high = effect.best.interval()
    return effect.treated_customers * (high - low) / 2


def _share(differences: list[Difference], side: int) -> str:
    clear = [one.is_clear() and one.estimate * side > 0 for one in differences]
    return f"{np.mean(clear):.1%}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shops", nargs="*", default=[*SHOPS])
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--served", type=float, metavar="SHARE")
    given = parser.parse_args()
    if given.served is not None:
        print("| shop | customers | served | half width, all | served alone | ratio |")
        print("|---|---|---|---|---|---|")
        for name in given.shops:
            report_served(name, given.served, given.draws)
        return
    print("| shop | customers | outcome | normal | less | more | CUPED less | more | width |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.shops:
        report(name, given.draws)


if __name__ == "__main__":
    main()
