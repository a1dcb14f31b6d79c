"""31 features in Polars written by hand, lazily, from a file to a file.

python polars_by_hand.py ORDERS CUTOFF OUT
"""

import json
import sys
from datetime import UTC, datetime

import polars as pl
from lengths import HALF_LIVES_DAYS, WINDOWS_DAYS

AGE, NET = pl.col("age"), pl.col("net")
BOUGHT = pl.col("orders") > 0


def purchase_days(path: str, cutoff: datetime) -> pl.LazyFrame:
    """One row per customer and day before the cutoff, with the gap to the purchase day before."""
    orders = pl.scan_parquet(path).filter(pl.col("ordered_at") < cutoff)
    amount = pl.col("amount")
    days = orders.group_by(
        "customer_id",
        (pl.lit(cutoff) - pl.col("ordered_at").dt.truncate("1d")).dt.total_days().alias("age"),
    ).agg(
        orders=(amount > 0).sum(),
        spend=amount.filter(amount > 0).sum(),
        net=amount.sum(),
    )
    within = ["customer_id", BOUGHT.alias("bought")]
    before = AGE.shift(1).over(within, order_by="age", descending=True)
    return days.with_columns(gap=pl.when(BOUGHT).then(before - AGE))


def plain() -> list[pl.Expr]:
    """Recency, frequency, money and gaps."""
    age, spend, gap = (pl.col(name).filter(BOUGHT) for name in ("age", "spend", "gap"))
    newest = age.arg_min()
    return [
        age.min().alias("recency_days"),
        age.len().alias("purchase_days"),
        pl.col("orders").sum().alias("orders_count"),
        age.max().alias("tenure_days"),
        NET.sum().alias("net_spend"),
        (NET.sum() / age.len()).alias("average_basket"),
        (spend.get(newest, null_on_oob=True) / spend.mean()).alias("last_basket_over_average"),
        gap.mean().alias("mean_gap_days"),
        gap.std().alias("gap_deviation_days"),
        (age.min() / gap.max()).alias("recency_over_longest_gap"),
        (gap.get(newest, null_on_oob=True) / gap.mean()).alias("last_gap_over_mean"),
    ]


def windows() -> list[pl.Expr]:
    """Purchase days and net spend in each window, and both with the past fading."""
    found = []
    for days in WINDOWS_DAYS:
        found.append((BOUGHT & AGE.le(days)).sum().alias(f"purchase_days_{days}d"))
        found.append(NET.filter(AGE.le(days)).sum().alias(f"net_spend_{days}d"))
    for speed, half in HALF_LIVES_DAYS.items():
        weight = 2.0 ** (AGE / -half)
        found.append(weight.filter(BOUGHT).sum().alias(f"decayed_days_{speed}"))
        found.append((NET * weight).sum().alias(f"decayed_spend_{speed}"))
    return found


def main(orders: str, cutoff: str, out: str) -> None:
    """Write the table."""
    days = purchase_days(orders, datetime.fromisoformat(cutoff).replace(tzinfo=UTC))
    table = days.group_by("customer_id").agg(*plain(), *windows()).collect()
    table.write_parquet(out)
    print(json.dumps({"features": table.width - 1}))


if __name__ == "__main__":
    main(*sys.argv[1:])
