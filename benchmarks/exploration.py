"""Exploration with equal chances and by evidence: what five plans earn and find out.

    .venv/bin/python benchmarks/exploration.py [--shops N]

Made-up shops, all customers alike: the true average effects of k offers are drawn around 0.7 of
what is assumed of them, with a standard deviation of 3 points. Each of five plans gives the offer
of the best posterior mean to 35 in 100 of the customers whom it treats, explores, and updates the
posterior by what the randomised customers show. `earned` is the true money of all plans, `of it
explored` that of exploring customers less what they would have earned by the plan, `afterwards` the
true money a customer of the offer that is chosen after five plans, `half width` that of 90 %
intervals in points, the mean of all offers and of the chosen. Differences are paired, with 95 %
intervals. Prints Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from churn.offers.arms import Shares
from churn.offers.exploration import DRAWS, SEED, Z, offer_chances, probability_of_best

PLANS, TREATED, VARIANCE, STAKE, SPREAD = 5, 0.35, 0.2, 30.0, 0.03
RULES = ("equal", "by evidence")


@dataclass(frozen=True)
class Shop:
    """Customers, offers, and the randomised shares."""

    customers: int
    offers: int
    shares: Shares


SHOPS = (
    Shop(3_000, 3, Shares(holdout=0.2, explore=0.1)),
    Shop(3_000, 3, Shares(holdout=0.05, explore=0.1)),
    Shop(3_000, 3, Shares(holdout=0.0, explore=0.2)),
    Shop(6_000, 3, Shares(holdout=0.2, explore=0.3)),
    Shop(30_000, 3, Shares(holdout=0.2, explore=0.1)),
    Shop(30_000, 3, Shares(holdout=0.1, explore=0.02)),
    Shop(30_000, 6, Shares(holdout=0.1, explore=0.05)),
)


def five_plans(shop: Shop, rule: str, seed: int) -> tuple[float, ...]:
    """Earned, of it explored, afterwards, mean half width, and that of the chosen offer."""
    rng = np.random.default_rng(seed)
    k, shares = shop.offers, shop.shares
    luck = np.random.default_rng(SEED).standard_normal((DRAWS, k))
    mean, covariance = np.linspace(0.03, 0.01, k), np.eye(k) * SPREAD**2
    truth, cost = 0.7 * mean + rng.normal(0, SPREAD, k), np.linspace(1.2, 0.05, k)
    money = np.r_[truth * STAKE - cost, 0.0]  # the last: none
    free = shop.customers * (1 - shares.holdout)
    explorers, treated = free * shares.explore, free * (1 - shares.explore) * TREATED
    earned = explored = 0.0
    for number in range(PLANS):
        value, error = mean * STAKE - cost, np.sqrt(np.diag(covariance)) * STAKE
        chances = np.full(k + 1, 1 / (k + 1))
        if rule == "by evidence" and number:
            best = probability_of_best(value, error, luck)
            chances = offer_chances(best, shop.customers, shares)
        chosen = _chosen(value)
        by_lot = explorers * float(chances @ money)
        earned += treated * money[chosen] + by_lot
        explored += by_lot - explorers * TREATED * money[chosen]
        with_offer = explorers * chances[:-1]
        if chosen < k:
            with_offer[chosen] += treated
        controls = shop.customers * shares.holdout + explorers * chances[-1]
        noise = VARIANCE * (np.diag(1 / with_offer) + 1 / controls)
        found = truth + rng.multivariate_normal(np.zeros(k), noise)
        gain = np.linalg.solve(covariance + noise, covariance).T
        mean, covariance = mean + gain @ (found - mean), covariance - gain @ covariance
    widths = 100 * Z * np.sqrt(np.diag(covariance))
    chosen = _chosen(mean * STAKE - cost)
    own = widths[min(chosen, k - 1)] if chosen < k else np.nan
    return earned, explored, float(money[chosen]), float(widths.mean()), float(own)


def _chosen(value: np.ndarray) -> int:
    """The offer of the largest value, or the number after the last for none."""
    return int(np.r_[value, 0.0].argmax())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shops", type=int, default=1_000)
    shops = parser.parse_args().shops
    heads = ("customers", "offers", "holdout", "explores", "chances", "earned", "more by")
    heads += ("of it explored", "afterwards", "more by", "half width", "of the chosen")
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for shop in SHOPS:
        found = {
            rule: np.array([five_plans(shop, rule, seed) for seed in range(shops)])
            for rule in RULES
        }
        for rule, rows in found.items():
            print(
                "| " + " | ".join(_row(shop, rule, rows, rows - found["equal"])) + " |", flush=True
            )


def _row(shop: Shop, rule: str, rows: np.ndarray, more: np.ndarray) -> tuple[str, ...]:
    mean, apart = np.nanmean(rows, axis=0), more.mean(axis=0)
    half = 1.96 * more.std(axis=0) / np.sqrt(len(more))
    told = rule != "equal"
    return (
        *(f"{shop.customers:,}", str(shop.offers), str(shop.shares.holdout)),
        *(str(shop.shares.explore), rule, f"{mean[0]:,.0f}"),
        f"{apart[0]:+,.0f} ±{half[0]:,.0f}" if told else "",
        *(f"{mean[1]:,.0f}", f"{mean[2]:.3f}"),
        f"{apart[2]:+.3f} ±{half[2]:.3f}" if told else "",
        *(f"{mean[3]:.2f}", f"{mean[4]:.2f}"),
    )


if __name__ == "__main__":
    main()
