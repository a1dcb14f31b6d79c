"""A small shop of monthly subscriptions with known mechanics, for the contractual mode."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from simulated_shop import NO_SERVER, OFFERS

from churn.data.tables import Tables

FIRST_DAY = pd.Timestamp("2023-01-01")
DAYS = 420
AS_OF = "2024-02-25"

CONFIG = """
[data]
currency = "EUR"

[data.orders]
source = "orders.parquet"

[data.subscriptions]
source = "subscriptions.parquet"

[churn]
mode = "contractual"
horizon_days = 28
grace_days = 5

[panel]
cutoffs = 12

[tracking]
uri = "{tracking}"

[offers]
catalogue = "offers.toml"
budget = 20.0
consent = "assumed"
"""


@cache
def simulated_subscriptions(
    customers: int = 350, seed: int = 5
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Orders and subscriptions of 30 days, each of which begins with an order.

    Each month one in six renews no more; a third of them cancel first. Who stays mostly orders
    something beside it, who leaves mostly does not: no rule that looks at renewals alone can tell.
    Who leaves may be back after two months; one customer in ten never subscribes.
    """
    rng = np.random.default_rng(seed)
    orders, terms = [], []
    for number in range(customers):
        name, day = f"s{number:04d}", float(rng.integers(0, DAYS - 60))
        if number % 10 == 0:
            orders.append((name, day, 15.0))
            continue
        while day < DAYS:
            leaves = rng.random() < 1 / 6
            cancels = leaves and rng.random() < 0.33
            cancelled = day + rng.integers(1, 4) if cancels else np.nan
            orders.append((name, day, 15.0))
            for beside in rng.integers(1, 12, size=0 if leaves and rng.random() < 0.8 else 3):
                orders.append((name, day + beside, 5.0))
            terms.append((name, day, day + 30, cancelled))
            day += 30 + (rng.integers(60, 120) if leaves else rng.integers(0, 3))
            if leaves and rng.random() < 0.5:
                break
    order_rows = pd.DataFrame(orders, columns=["customer_id", "ordered_at", "amount"])
    term_rows = pd.DataFrame(
        terms, columns=["customer_id", "started_at", "expires_at", "cancelled_at"]
    )
    for frame in (order_rows, term_rows):
        for column in frame.columns[frame.columns.str.endswith("_at")]:
            frame[column] = FIRST_DAY + pd.to_timedelta(frame[column], unit="D")
    return order_rows, term_rows


def subscription_tables() -> Tables:
    """The same as tables in memory."""
    orders, terms = simulated_subscriptions()
    return Tables.from_frames(orders, currency="EUR", subscriptions=terms)


def open_subscription_shop(folder: Path) -> Path:
    """A project folder of that shop, whose churn.toml comes back."""
    folder.mkdir(parents=True, exist_ok=True)
    orders, terms = simulated_subscriptions()
    orders.to_parquet(folder / "orders.parquet", index=False)
    terms.to_parquet(folder / "subscriptions.parquet", index=False)
    (folder / "offers.toml").write_text(OFFERS)
    (folder / "churn.toml").write_text(CONFIG.format(tracking=NO_SERVER))
    return folder / "churn.toml"
