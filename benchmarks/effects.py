"""Learnt effects against the simulator's truth: policy value, coverage, and too little data.

    python benchmarks/effects.py [policy|coverage|few|cycles ...] [--keep DIR] [--seeds 5 6]

A simulated shop proves mechanics and nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.commands.simulate import simulate
from churn.config import load_tables
from churn.data.tables import Tables
from churn.features.builder import build_features
from churn.features.clock import FeatureClock
from churn.offers.catalogue import Offer
from churn.uplift.average import EffectLine
from churn.uplift.experiment import ExperimentData, build_experiment
from churn.uplift.learnt import LearntEffects
from churn.uplift.study import StudySettings, cross_fit, study

__all__ = ["main"]

Floats = NDArray[np.float64]

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
# What a customer who stays brings is a share of the mean order; what an offer costs is fixed.
MARGIN_ORDERS = 0.6
COSTS = {"discount": 3.0, "points": 1.5, "reminder": 0.05}


@dataclass(frozen=True)
class Shop:
    """A simulated shop at its end: tables, features of now, and the truth in their order."""

    tables: Tables
    now: pd.DataFrame
    effects: Floats
    retained_without: Floats
    at_stake: Floats

    @classmethod
    def made(cls, folder: Path, *, customers: int, randomised: float, seed: int) -> Shop:
        """The shop of a folder, simulated where it is not there yet."""
        target = folder / f"shop-{customers}-{randomised}-{seed}"
        if not target.exists():
            simulate(
                target,
                customers=customers,
                seed=seed,
                lines=False,
                campaigns=3,
                randomised_share=randomised,
            )
        tables = load_tables(target / "churn.toml")
        now = tables.engine.collect(build_features(tables, [tables.end()], CLOCK)).to_pandas()
        truth = pd.read_parquet(target / "truth/effects.parquet")
        last = truth[truth["contacted_at"] == truth["contacted_at"].max()]
        effects = last.pivot(index="customer_id", columns="offer_id", values="true_effect")
        now = now[now["customer_id"].isin(effects.index)].reset_index(drop=True)
        ids = now["customer_id"]
        without = last.drop_duplicates("customer_id").set_index("customer_id")["retained_without"]
        people = pd.read_parquet(target / "truth/customers.parquet").set_index("customer_id")
        return cls(
            tables,
            now,
            effects.loc[ids, list(COSTS)].to_numpy(),
            without.loc[ids].to_numpy(),
            MARGIN_ORDERS * people.loc[ids, "mean_order"].to_numpy(),
        )

    def worth(self, effects: Floats) -> Floats:
        """Value of each offer for each customer, were those the effects."""
        return effects * self.at_stake[:, None] - np.array(list(COSTS.values()))

    def earned(self, choice: NDArray[np.int64]) -> float:
        """What a choice of offers (-1: none) really earns."""
        return picked(self.worth(self.effects), choice)


def picked(worth: Floats, choice: NDArray[np.int64]) -> float:
    """The sum of the chosen offers' worth."""
    value = worth[np.arange(len(choice)), np.maximum(choice, 0)]
    return float(np.where(choice < 0, 0.0, value).sum())


def best(worth: Floats) -> NDArray[np.int64]:
    """The best offer of each customer, -1 where none is worth its cost."""
    return np.where(worth.max(axis=1) > 0, worth.argmax(axis=1), -1)


def policy(folder: Path, *, seeds: Sequence[int] = (3, 4)) -> None:
    """The value of offers chosen by learnt effects, as a share of what the truth would earn."""
    header = (
        *("seed", "share by lot", "contacts by lot", "verdicts", "policy", "at lower bounds"),
        *("average effects", "by risk", "promised / true"),
    )
    print("| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for seed, randomised in product(seeds, (0.5, 0.1)):
        shop = Shop.made(folder, customers=50_000, randomised=randomised, seed=seed)
        data = build_experiment(shop.tables, as_of=shop.tables.end(), clock=CLOCK)
        found = study(data, StudySettings(challengers=False, replicates=200))
        risk = shop.now["p_no_purchase_in_horizon"].to_numpy()
        offers = [stand_in_offer(name) for name in COSTS]
        said = LearntEffects.of_study(found).of(
            shop.now, risk, offers, base_rate=float(risk.mean())
        )
        choice, timid = best(shop.worth(said.mean)), best(shop.worth(said.low))
        oracle = shop.earned(best(shop.worth(shop.effects)))
        averages = np.array([found.findings[name].line.average.estimate for name in COSTS])
        by_average = best(shop.worth(np.tile(averages, (len(risk), 1))))
        rivals = (choice, timid, by_average, by_risk(shop, averages, int((choice >= 0).sum())))
        shares = " | ".join(f"{shop.earned(one) / oracle:.1%}" for one in rivals)
        verdicts = ", ".join(f"{name}: {found.findings[name].verdict}" for name in COSTS)
        promise = picked(shop.worth(said.mean), choice) / shop.earned(choice)
        row = f"| {seed} | {randomised:.0%} | {len(data):,} | {verdicts} | {shares}"
        print(f"{row} | {promise:.2f} |", flush=True)


def by_risk(shop: Shop, averages: Floats, count: int) -> NDArray[np.int64]:
    """As many customers as the policy treats, the riskiest by the truth, with the offer of the
    highest average worth.
    """
    offer = int((averages * shop.at_stake.mean() - np.array(list(COSTS.values()))).argmax())
    choice = np.full(len(shop.retained_without), -1)
    choice[np.argsort(shop.retained_without, kind="stable")[:count]] = offer
    return choice


def stand_in_offer(name: str) -> Offer:
    """A catalogue entry whose assumed effect is two points."""
    return Offer(
        offer_id=name,
        name=name,
        kind="other",
        channel="email",
        margin_cost=0.0,
        contact_cost=COSTS[name],
        redemption_rate=0.0,
        effect=0.02,
        effect_low=0.0,
        effect_high=0.04,
        cooldown_days=0,
        expires_after_days=14,
    )


def coverage(folder: Path, *, runs: int = 100, customers: int = 4_000) -> None:
    """How often the 90 % interval of the average effect holds the truth: the mean of all runs,
    which is that of the population, and the mean of the experiment's customers.
    """
    found = [covered_run(folder, customers, seed) for seed in range(runs)]
    for name in COSTS:
        low, high, own = np.array([one[name] for one in found]).T
        everyone = own.mean()
        hits = int(((low <= everyone) & (everyone <= high)).sum())
        own_hits = int(((low <= own) & (own <= high)).sum())
        print(f"{name}: {hits} of {runs} hold the population's truth, {own_hits} their sample's")


def covered_run(folder: Path, customers: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Bounds and truth of each offer's average effect in one shop."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = Path(scratch) / "shop"
        simulate(target, customers=customers, seed=seed, lines=False, campaigns=3)
        tables = load_tables(target / "churn.toml")
        data = build_experiment(tables, as_of=tables.end(), clock=CLOCK, names=FEW_FEATURES)
        truth = mean_truth(target, data)
        tables.engine.close()
    seen = cross_fit(data, data.offers, StudySettings(folds=2, challengers=False))
    lines = {
        name: EffectLine.fit(seen.pseudo[:, column], seen.effects["dr"][:, column], data.customer)
        for column, name in enumerate(data.offers)
    }
    return {
        name: (line.average.low, line.average.high, float(truth[name]))
        for name, line in lines.items()
    }


FEW_FEATURES = (
    *("recency_days", "purchase_days", "tenure_days", "p_no_purchase_in_horizon"),
    *("acquisition_share", "points_balance", "overdue_ratio"),
)


def mean_truth(target: Path, data: ExperimentData) -> pd.Series[float]:
    """The mean true effect of each offer over the contacts of the experiment."""
    truth = pd.read_parquet(target / "truth/effects.parquet")
    campaign = "campaign-" + truth["contacted_at"].dt.strftime("%Y-%m-%d")
    rows = data.rows[["customer_id", "lot"]]
    joined = rows.merge(truth.assign(lot=campaign), on=["customer_id", "lot"])
    return joined.groupby("offer_id")["true_effect"].mean()


def few(folder: Path) -> None:
    """What is said after the same campaigns in a shop of 500 customers."""
    shop = Shop.made(folder, customers=500, randomised=0.5, seed=3)
    data = build_experiment(shop.tables, as_of=shop.tables.end(), clock=CLOCK)
    found = study(data)
    for name, one in found.findings.items():
        print(f"500 customers, {name}: {one.verdict}; {'; '.join(one.reasons)}")
    risk = shop.now["p_no_purchase_in_horizon"].to_numpy()
    offers = [stand_in_offer(name) for name in COSTS]
    said = LearntEffects.of_study(found).of(shop.now, risk, offers, base_rate=float(risk.mean()))
    print(f"sources of the effects: {said.source}")


PARTS = {"policy": policy, "coverage": coverage, "few": few}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), choices=[*PARTS, []])
    parser.add_argument("--keep", type=Path, help="where shops are kept for the next time")
    parser.add_argument("--seeds", type=int, nargs="+", default=(3, 4), help="shops of `policy`")
    asked = parser.parse_args()
    parts = {**PARTS, "policy": partial(policy, seeds=asked.seeds)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for part in asked.parts:
            parts[part](folder)


if __name__ == "__main__":
    main()
