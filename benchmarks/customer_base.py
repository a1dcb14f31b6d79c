"""How often signals, frictions and clusters find what is there, and what is not.

    .venv/bin/python benchmarks/customer_base.py [silence] [falls] [frictions] [clusters]

Simulated customers with known truth; no data is needed. `silence` runs `churn.analytics.signals` on
200 shops whose customers come, buy and leave at steady rates, so no month differs from that of last
year; `falls` plants a fall of 5 points in 5 % of 100,000 customers; `frictions` compares 10,000
customers, with a ratio of 1.5 and with none, where whoever orders more has more of each friction;
`clusters` looks at a mixture of three and at normal samples, each with two seeds.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.analytics.changes import Population, find_changes
from churn.analytics.clusters import stable_clusters
from churn.analytics.customer_base import CustomerBase
from churn.analytics.frictions import Friction, compare_frictions, strata
from churn.analytics.signals import signals
from churn.data.tables import Tables

MONTHS, FALLS, FRICTIONS, CLUSTERS = 200, 100, 400, 30
DAYS, ACTIVE_DAYS, CUSTOMERS = 560, 60, 4_000
FIRST = pd.Timestamp("2022-06-01", tz="UTC")
WIDTHS = (8, 6, 5, 10, 12, 20, 4)


def steady_shop(rng: np.random.Generator) -> Tables:
    """Customers who arrive and leave at steady rates, long before the data begins and after."""
    arrives = rng.uniform(-1_000, DAYS, size=3 * CUSTOMERS)
    leaves = arrives + rng.exponential(400, size=len(arrives))
    rate = rng.gamma(1.5, 1 / 30, size=len(arrives))
    count = rng.poisson(rate * (leaves - arrives)) + 1
    who = np.repeat(np.arange(len(arrives)), count)
    day = rng.uniform(arrives[who], leaves[who])
    day = np.concatenate([arrives, day])
    who = np.concatenate([np.arange(len(arrives)), who])
    seen = (day >= 0) & (day < DAYS)
    region = rng.choice(
        ["north", "south", "east", "west"], size=len(arrives), p=[0.1, 0.2, 0.3, 0.4]
    )
    channel = np.where(rng.random(seen.sum()) < 0.3, "shop", "web")
    orders = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in who[seen]],
            "ordered_at": FIRST + pd.to_timedelta(day[seen], unit="D").round("s"),
            "amount": rng.lognormal(3, 1, size=seen.sum()).round(2) + 0.01,
            "channel": channel,
        }
    )
    listed = {"customer_id": [f"c{n}" for n in range(len(arrives))], "region": region}
    present = datetime(2026, 1, 1, tzinfo=UTC)
    return Tables.from_frames(
        pa.Table.from_pandas(orders, preserve_index=False),
        customers=pa.table(listed),
        clock=present,
    )


def silence() -> None:
    """Of months without a change, those that show anything."""
    shown = looks = 0
    for seed in range(MONTHS):
        tables = steady_shop(np.random.default_rng(seed))
        found = signals(CustomerBase.of(tables, active_days=ACTIVE_DAYS), "28")
        tables.close()
        shown += found.table("signals").num_rows > 0
        looks += found.table("looks").num_rows
    print(f"silence: {shown} of {MONTHS} months show something; {looks / MONTHS:.0f} looks each")


def population(rng: np.random.Generator, fall: float) -> Population:
    """100,000 customers in seven splits, kept at 90 % on average, less in the first group."""
    size = 100_000
    groups = {
        f"split {place}": rng.choice(
            width, size=size, p=np.r_[0.05, np.full(width - 1, 0.95 / (width - 1))]
        )
        for place, width in enumerate(WIDTHS)
    }
    rate = rng.beta(9, 1, size=size) - fall * (groups["split 0"] == 0)
    return Population(rng.random(size) < rate, groups)


def falls() -> None:
    """How often a planted fall is named first, and how often something else is named, too."""
    values = {f"split {p}": tuple(map(str, range(width))) for p, width in enumerate(WIDTHS)}
    first = others = 0
    for seed in range(FALLS):
        rng = np.random.default_rng(seed)
        found = find_changes(
            population(rng, 0.0), population(rng, 0.05), values, least_events=100
        ).signals
        first += bool(found) and (found[0].split, found[0].value) == ("split 0", "0")
        others += len(found) > 1
    print(f"falls: named first in {first} of {FALLS}, something besides it in {others}")


def service(rng: np.random.Generator, ratio: float) -> list[Friction]:
    """10,000 customers, of whom those who order more have more frictions and lapse less."""
    size = 10_000
    rate = rng.gamma(1.5, size=size)
    orders = rng.poisson(rate)
    days = orders + rng.poisson(rate * 8) + 1
    recent = rng.exponential(28 / (1 + orders))
    recency = np.where(orders > 0, recent, 28 + rng.exponential(40, size=size)).round()
    shares = (0.15, 0.05, 0.1, 0.08, 0.2, 0.03)
    had = {f"kind {place}": rng.binomial(orders, p) > 0 for place, p in enumerate(shares)}
    risk = 0.6 * np.exp(-0.5 * np.minimum(rate, 6)) * np.where(recency > 20, 1.2, 0.8)
    lapsed = rng.random(size) < np.clip(risk * np.where(had["kind 0"], ratio, 1.0), 0, 1)
    return compare_frictions(lapsed, strata(recency, days.astype(float), orders.astype(float)), had)


def frictions() -> None:
    """How often a planted ratio is found, and how often one is named where there is none."""
    none = found = covered = 0
    ratios = []
    for seed in range(FRICTIONS):
        none += any(one.is_named for one in service(np.random.default_rng(seed), 1.0))
        planted = {one.name: one for one in service(np.random.default_rng(10_000 + seed), 1.5)}[
            "kind 0"
        ]
        found += planted.is_named
        covered += planted.interval[0] <= 1.5 <= planted.interval[1]
        ratios.append(planted.ratio)
    share = 100 / FRICTIONS
    print(
        f"frictions: none planted, {none * share:.1f} % of runs name one; 1.5 planted, found in "
        f"{found * share:.1f} %, mean ratio {np.mean(ratios):.2f}, in the interval in "
        f"{covered * share:.1f} %"
    )


def clusters() -> None:
    """How often three planted groups are found, kept under another seed, and a blob refused."""
    three = refused = 0
    kept = []
    for seed in range(CLUSTERS):
        rng = np.random.default_rng(seed)
        centres = ((1_000, (0, 0, 0)), (600, (4, 0, 1)), (400, (0, 4, -1)))
        parts = [rng.normal(size=(n, 3)) * 0.6 + centre for n, centre in centres]
        points = np.concatenate(parts)
        one, other = stable_clusters(points, seed=7), stable_clusters(points, seed=8)
        three += len(one) == len(other) == 3
        kept.append((one.assign(points) == other.assign(points)).mean())
        blob = rng.normal(size=(2_000, 2 + seed % 2)) @ np.diag([1.0, 2.0, 0.5][: 2 + seed % 2])
        refused += len(stable_clusters(blob)) == 0
    print(
        f"clusters: three found in {three} of {CLUSTERS}, least kept under another seed "
        f"{100 * min(kept):.1f} %, blobs refused {refused} of {CLUSTERS}"
    )


PARTS: dict[str, Callable[[], None]] = {
    one.__name__: one for one in (silence, falls, frictions, clusters)
}


def main() -> None:
    """Prints one line for each part that is named, or for all."""
    for name in sys.argv[1:] or PARTS:
        begun = time.process_time()
        PARTS[name]()
        print(f"  {time.process_time() - begun:.0f} processor seconds")


if __name__ == "__main__":
    main()
