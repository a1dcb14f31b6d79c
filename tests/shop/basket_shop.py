"""A small shop of baskets with known mechanics: associated tastes, and regular staples.

A library for the tests of several rooms, on the `pythonpath` of pytest.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from churn.data.tables import Tables

DAYS = 200
FIRST_DAY = date(2024, 1, 1)
AS_OF = FIRST_DAY + timedelta(days=DAYS)
CLOCK = datetime(2025, 1, 1, tzinfo=UTC)
CHANGE_DAYS = 50
TASTES, WIDE = 6, 30

CONFIG = """
[data]
currency = "EUR"

[data.orders]
source = "lines.parquet"
grain = "line"

[offers]
consent = "assumed"

[recommend]
horizon_days = 28
"""


def basket_lines(customers: int = 300, *, seed: int = 5, plain: bool = False) -> pd.DataFrame:
    """Lines of orders: customer_id, order_id, ordered_at, product_id, category, product_name,
    quantity, amount.

    A customer has one of six tastes of 30 products each, three of which are staples for fifty
    days, bought at every other visit, and then three others; all else is drawn within the taste.
    `plain`: everything is drawn from all products alike, and nothing can be learnt.
    """
    rng = np.random.default_rng(seed)
    parts = [_customer(rng, number, plain=plain) for number in range(customers)]
    return pd.concat(parts, ignore_index=True)


def _customer(rng: np.random.Generator, number: int, *, plain: bool) -> pd.DataFrame:
    taste = number % TASTES
    staples = taste * WIDE + rng.integers(0, WIDE, (DAYS // CHANGE_DAYS, 3))
    visits = np.flatnonzero(rng.random(DAYS) < rng.uniform(0.03, 0.12))
    rows = []
    for day in visits:
        if plain:
            bought = rng.integers(0, TASTES * WIDE, 4)
        else:
            now = staples[day // CHANGE_DAYS]
            bought = np.r_[taste * WIDE + rng.integers(0, WIDE, 2), now[rng.random(3) < 0.5]]
        rows += [(day, product) for product in np.unique(bought)]
    days, products = (np.array([row[k] for row in rows], dtype=int) for k in (0, 1))
    return pd.DataFrame(
        {
            "customer_id": f"c{number:03d}",
            "order_id": [f"o{number}-{day}" for day in days],
            "ordered_at": pd.Timestamp(FIRST_DAY) + pd.to_timedelta(days, unit="D"),
            "product_id": [f"p{product:03d}" for product in products],
            "category": [f"taste {product // WIDE}" for product in products],
            "product_name": [f"Product {product}" for product in products],
            "quantity": 1,
            "amount": 2.5,
        }
    )


def tables_of(lines: pd.DataFrame, **others: object) -> Tables:
    """The tables of a shop that has these lines."""
    return Tables.from_frames(lines, grain="line", currency="EUR", clock=CLOCK, **others)


@cache
def basket_tables() -> Tables:
    """The shop that can be learnt. Not to be changed by a test."""
    return tables_of(basket_lines())


def written_shop(folder: Path, lines: pd.DataFrame, *, more: str = "") -> Path:
    """A folder with the lines and a churn.toml, whose path comes back."""
    folder.mkdir(parents=True, exist_ok=True)
    lines.to_parquet(folder / "lines.parquet", index=False)
    (folder / "churn.toml").write_text(CONFIG + more)
    return folder / "churn.toml"


def refusals(*customers: str) -> pa.Table:
    """Consents in which these customers refuse profiling."""
    return pa.table(
        {
            "customer_id": list(customers),
            "channel": ["email"] * len(customers),
            "purpose": ["profiling"] * len(customers),
            "granted": [False] * len(customers),
            "changed_at": [datetime(2024, 2, 1, tzinfo=UTC)] * len(customers),
        }
    )
