"""How fast, how lean and how near the best possible plan offers are chosen.

    .venv/bin/python benchmarks/allocation.py [CUSTOMERS]

A million made-up customers and five offers of one cost each. `ratio` is to one pass of numpy that
picks each customer's best offer without any limit. `gap` is how far the best plan may lie above the
one found, as a share of it, and in the most valuable single offers.
"""

import resource
import sys
import time

import numpy as np

from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.problem import Limits

OFFERS = 5


def shop(customers: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """What each offer is worth to and costs each customer; a fifth is not permitted."""
    rng = np.random.default_rng(seed)
    stake, risk = rng.gamma(2, 20, customers), rng.beta(1, 5, customers)
    price = rng.uniform(0.2, 3.0, OFFERS)
    effect = rng.uniform(0.01, 0.05, OFFERS) * rng.uniform(0.5, 1.5, (customers, OFFERS))
    value = 12 * stake[:, None] * (risk * (1 - risk))[:, None] * effect - price
    value[rng.random(value.shape) < 0.2] = np.nan
    return value, np.broadcast_to(price, value.shape)


def limits_of(customers: int, value: np.ndarray, cost: np.ndarray) -> dict[str, Limits]:
    """The kinds of limits, each binding."""
    free = allocate(value, cost, Limits())
    counts = np.bincount(free.choice + 1, minlength=OFFERS + 1)[1:]
    budget, places = 0.3 * free.cost, np.floor(counts * np.array([0.1, 0.2, 0.3, 0.5, 0.2]))
    group = np.random.default_rng(2).integers(0, 4, customers)
    cap = np.array([0.01 * customers, *[np.inf] * 3])
    floor = np.array([0.0, 0.0, 0.05 * customers, 0.0])
    every = {"budget": budget, "capacity": places, "group": group, "most": cap, "least": floor}
    return {
        "no limit": Limits(),
        "budget": Limits(budget=budget),
        "capacities": Limits(capacity=places),
        "budget, capacities": Limits(budget=budget, capacity=places),
        "budget, capacities, groups": Limits(**every),
    }


def best_of_each(value: np.ndarray) -> float:
    """Seconds of the one pass."""
    start = time.perf_counter()
    np.where(np.isnan(value), 0.0, value).max(axis=1).clip(min=0).sum()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    value, cost = shop(customers)
    unit = min(best_of_each(value) for _ in range(5))
    print(f"{customers:,} customers, {OFFERS} offers\n")
    print("| limits | seconds | ratio | gap | gap in offers |\n|---|---|---|---|---|")
    for name, limits in limits_of(customers, value, cost).items():
        start = time.perf_counter()
        found = allocate(value, cost, limits)
        seconds = time.perf_counter() - start
        gap = found.upper_bound - found.value
        print(
            f"| {name} | {seconds:.2f} | {seconds / unit:.0f} | {gap / found.upper_bound:.1e} | "
            f"{gap / np.nanmax(value):.3f} |"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak of the process: {peak:.2f} GiB, the customers' own table included.")


if __name__ == "__main__":
    main()
