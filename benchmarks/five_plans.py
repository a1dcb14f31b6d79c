"""Five plans in a row, each learning from the ones before: what effects and money come to.

    .venv/bin/python benchmarks/five_plans.py [--customers N] [--seeds 1 2 3] [--explore SHARE]

A simulated shop without any past campaign trains, scores, plans, lives 28 days in which offers take
effect, and estimates effects, five times over. A row for each plan: half the 90 % interval of the
average effects, a mean over the offers; the money that the plan promised, and what it really
earned, as the simulator knows both lives of every recipient, and what those of them earned who
explore; the mean P(lapse) of the eligible held out, and the share of them who lapsed. Prints
Markdown.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from churn.commands.effects import effects
from churn.commands.plan import plan
from churn.commands.score import score
from churn.commands.simulate import live_on, simulate
from churn.commands.train import train
from churn.offers.catalogue import Offers

__all__ = ["main", "run"]

PLANS, DAYS, MARGIN_RATE = 5, 28, 0.4
SETTINGS = """
[churn]
horizon_days = 28
lookback_days = 56
[panel]
every_days = 28
cutoffs = 6
[value]
margin_rate = {rate}
[offers]
catalogue = "offers.toml"
budget = {budget}
holdout = 0.2
explore = {explore}
consent = "required"
"""
HEADS = (
    *("seed", "plan", "half width, points", "offers sent", "explored", "promised", "earned"),
    *(
        "by exploring",
        "cost of exploring",
        "of a customer sent",
        "P(lapse) told",
        "lapsed without an offer",
    ),
)


def run(folder: Path, *, customers: int, seed: int, explore: float) -> None:
    """Prints the rows of one shop."""
    simulate(folder, customers=customers, seed=seed, lines=False, ahead_days=PLANS * DAYS)
    config = folder / "churn.toml"
    settings = SETTINGS.format(rate=MARGIN_RATE, budget=0.15 * customers, explore=explore)
    config.write_text(config.read_text() + settings)
    catalogue = (files("churn.commands.demo") / "offers.toml").read_text()
    for number in range(1, PLANS + 1):
        named = catalogue.replace('id = "january"', f'id = "plan-{number}"')
        (folder / "offers.toml").write_text(named)
        train(config)
        scores, planned = folder / f"scores-{number}.parquet", folder / f"plan-{number}.parquet"
        score(config, out=scores, explain="none")
        told = plan(config, out=planned, scores=scores).metrics
        live_on(folder, plan=planned, days=DAYS)
        found = effects(config).metrics["offers"]
        sent, earned = _truth(folder, planned)
        explored, by_exploring = _truth(folder, planned, arm="explore")
        risk, lapsed = _lapse(folder, scores, planned)
        known = [one["average"] for one in found.values() if "average" in one]
        width = np.mean([50 * (one["high"] - one["low"]) for one in known]) if known else np.nan
        row = (
            *(str(seed), str(number), f"{width:.1f}", f"{sent:,}", f"{explored:,}"),
            *(f"{told['expected_value']:,.0f}", f"{earned:,.0f}", f"{by_exploring:,.0f}"),
            *(f"{told['explored_cost']:,.0f}", f"{earned / max(sent, 1):+.2f}"),
            *(f"{risk:.3f}", f"{lapsed:.3f}"),
        )
        print("| " + " | ".join(row) + " |", flush=True)


def _truth(folder: Path, planned: Path, *, arm: str | None = None) -> tuple[int, float]:
    """The recipients, of one arm if asked, and the margin that their offers brought less what
    these cost.
    """
    rows = pd.read_parquet(planned, columns=["customer_id", "arm", "as_of"])
    as_of = rows["as_of"].iloc[0]
    both = pq.read_table(folder / f"truth/sent-{as_of}.parquet").to_pandas()
    if arm is not None:
        both = both[both["customer_id"].isin(rows.loc[rows["arm"] == arm, "customer_id"])]
    offers = {offer.offer_id: offer for offer in Offers.load(folder / "offers.toml")}
    margin = MARGIN_RATE * (both["net_spend"] - both["net_spend_without"]).sum()
    cost = sum(
        offers[row.offer_id].contact_cost
        + offers[row.offer_id].redemption_rate * offers[row.offer_id].margin_amount
        for row in both.itertuples()
    )
    return len(both), float(margin - cost)


def _lapse(folder: Path, scores: Path, planned: Path) -> tuple[float, float]:
    """The mean P(lapse) of the eligible without an offer, and the share of them who lapsed."""
    told = pd.read_parquet(scores, columns=["customer_id", "status", "churn_probability"])
    chosen = pd.read_parquet(planned, columns=["customer_id", "offer_id", "arm", "as_of"])
    rows = told[told["status"] == "eligible"].merge(chosen, on="customer_id")
    rows = rows[rows["arm"] == "holdout"]
    since = pd.Timestamp(rows["as_of"].iloc[0], tz="UTC")
    orders = pd.read_parquet(
        folder / "orders.parquet", columns=["customer_id", "ordered_at", "amount"]
    )
    at = pd.to_datetime(orders["ordered_at"], utc=True)
    after = orders[(at >= since) & (at < since + pd.Timedelta(days=DAYS)) & (orders["amount"] > 0)]
    stayed = rows["customer_id"].isin(after["customer_id"])
    return float(rows["churn_probability"].mean()), float(1 - stayed.mean())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--explore", type=float, default=0.1)
    given = parser.parse_args()
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    for seed in given.seeds:
        with TemporaryDirectory() as folder:
            run(
                Path(folder) / "shop",
                customers=given.customers,
                seed=seed,
                explore=given.explore,
            )


if __name__ == "__main__":
    main()
