"""30 features by Featuretools' deep feature synthesis, from a file to a file.

python featuretools_dfs.py ORDERS CUTOFF OUT

Windows need a call of their own each, for `training_window` holds for all features of a call.
"""

import json
import sys
import warnings

import pandas as pd
from lengths import WINDOWS_DAYS

warnings.simplefilter("ignore")  # of pkg_resources and of pandas, in Featuretools' own code
import featuretools as ft  # noqa: E402

OF_ORDERS = ["count", "sum", "mean", "std", "max", "min", "median", "skew", "trend"]
OF_TIMES = ["time_since_last", "time_since_first", "avg_time_between"]
GAPS = ["mean", "std", "max", "last"]


def entities(path: str) -> ft.EntitySet:
    """Customers and their orders, with the gap to the customer's order before."""
    orders = pd.read_parquet(path, columns=["customer_id", "order_id", "ordered_at", "amount"])
    orders["ordered_at"] = orders["ordered_at"].dt.tz_convert("UTC").dt.tz_localize(None)
    shop = ft.EntitySet("shop")
    customers = orders[["customer_id"]].drop_duplicates(ignore_index=True)
    shop.add_dataframe(dataframe_name="customers", dataframe=customers, index="customer_id")
    shop.add_dataframe(
        dataframe_name="orders", dataframe=orders, index="order_id", time_index="ordered_at"
    )
    shop.add_relationship("customers", "customer_id", "orders", "customer_id")
    return shop


def features() -> list[str]:
    """What is asked for over the whole past."""
    return [*OF_ORDERS, *OF_TIMES]


def synthesised(shop: ft.EntitySet, cutoff: str, **what: object) -> pd.DataFrame:
    """One row per customer at the cutoff, by Featuretools' defaults."""
    times = shop["customers"][["customer_id"]].assign(time=pd.Timestamp(cutoff))
    matrix, _ = ft.dfs(
        entityset=shop,
        target_dataframe_name="customers",
        cutoff_time=times.reset_index(drop=True),
        **{"trans_primitives": [], **what},
    )
    return matrix


def whole_past(shop: ft.EntitySet, cutoff: str) -> pd.DataFrame:
    """Features of all orders, and of the gaps between a customer's orders."""
    plain = synthesised(shop, cutoff, agg_primitives=features())
    gaps = synthesised(
        shop,
        cutoff,
        agg_primitives=GAPS,
        groupby_trans_primitives=["time_since_previous"],
    )
    return plain.join(gaps.filter(like="TIME_SINCE_PREVIOUS"))


def window(shop: ft.EntitySet, cutoff: str, days: int) -> pd.DataFrame:
    """Orders and spend of the last days."""
    of_window = synthesised(
        shop, cutoff, agg_primitives=["count", "sum"], training_window=f"{days} days"
    )
    return of_window.add_suffix(f" {days}d")


def main(path: str, cutoff: str, out: str) -> None:
    """Write the table."""
    shop = entities(path)
    table = whole_past(shop, cutoff).join([window(shop, cutoff, days) for days in WINDOWS_DAYS])
    table.rename(columns={"COUNT(orders)": "orders_count"}).to_parquet(out)
    print(json.dumps({"features": table.shape[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
