"""31 features in pandas, grouped without a Python function per customer, from a file to a file.

python pandas_by_hand.py ORDERS CUTOFF OUT
"""

import json
import sys

import numpy as np
import pandas as pd
from lengths import HALF_LIVES_DAYS, WINDOWS_DAYS

COLUMNS = ["customer_id", "ordered_at", "amount"]


def purchase_days(path: str, cutoff: pd.Timestamp) -> pd.DataFrame:
    """One row per customer and day before the cutoff, with the gap to the purchase day before."""
    orders = pd.read_parquet(path, columns=COLUMNS)
    orders = orders[orders["ordered_at"] < cutoff]
    orders["age"] = (cutoff - orders["ordered_at"].dt.floor("D")).dt.days
    orders["orders"] = orders["amount"] > 0
    orders["spend"] = orders["amount"].clip(lower=0)
    days = orders.groupby(["customer_id", "age"], as_index=False).agg(
        orders=("orders", "sum"), spend=("spend", "sum"), net=("amount", "sum")
    )
    days = days.sort_values(["customer_id", "age"], ascending=[True, False], ignore_index=True)
    days["bought"] = days["orders"] > 0
    bought = days[days["bought"]]
    days["gap"] = -bought.groupby("customer_id")["age"].diff()
    return days


def faded(days: pd.DataFrame) -> pd.DataFrame:
    """Columns whose sums are the windows and the decayed counts."""
    columns = {}
    for window in WINDOWS_DAYS:
        inside = days["age"] <= window
        columns[f"purchase_days_{window}d"] = (inside & days["bought"]).astype("int64")
        columns[f"net_spend_{window}d"] = days["net"].where(inside, 0.0)
    for speed, half in HALF_LIVES_DAYS.items():
        weight = np.exp2(-days["age"] / half)
        columns[f"decayed_days_{speed}"] = weight * days["bought"]
        columns[f"decayed_spend_{speed}"] = weight * days["net"]
    return pd.DataFrame(columns).groupby(days["customer_id"]).sum()


def plain(days: pd.DataFrame) -> pd.DataFrame:
    """Recency, frequency, money and gaps."""
    everything = days.groupby("customer_id").agg(orders_count=("orders", "sum"), net=("net", "sum"))
    of_one = days[days["bought"]].groupby("customer_id")
    found = everything.join(
        of_one.agg(
            recency_days=("age", "min"),
            tenure_days=("age", "max"),
            purchase_days=("age", "size"),
            spend=("spend", "sum"),
            last_spend=("spend", "last"),
            mean_gap_days=("gap", "mean"),
            gap_deviation_days=("gap", "std"),
            longest=("gap", "max"),
            newest=("gap", "last"),
        )
    )
    average = found["spend"] / found["purchase_days"]
    return found.assign(
        average_basket=found["net"] / found["purchase_days"],
        last_basket_over_average=found["last_spend"] / average,
        recency_over_longest_gap=found["recency_days"] / found["longest"],
        last_gap_over_mean=found["newest"] / found["mean_gap_days"],
    ).drop(columns=["spend", "last_spend", "longest", "newest"])


def main(orders: str, cutoff: str, out: str) -> None:
    """Write the table."""
    days = purchase_days(orders, pd.Timestamp(cutoff, tz="UTC"))
    table = plain(days).rename(columns={"net": "net_spend"}).join(faded(days))
    table.to_parquet(out)
    print(json.dumps({"features": table.shape[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
