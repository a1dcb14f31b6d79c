"""A stationary shop: only its customers change, and the future is on average like the past."""

from datetime import date

import numpy as np
import pandas as pd

FIRST_DAY = date(2021, 1, 1)
DAYS = 1_000
MEAN_GAP_DAYS = 25.0
RATE_SHAPE = 1.5
DROPOUT = (1.0, 9.0)


def steady_orders(customers: int, *, seed: int) -> pd.DataFrame:
    """customer_id, ordered_at, amount: new customers come evenly, buy at a gamma-Poisson rate, and
    after each purchase are gone with a probability of their own (BG/NBD); no season, no trend.
    """
    rng = np.random.default_rng(seed)
    rate = rng.gamma(RATE_SHAPE, 1 / (RATE_SHAPE * MEAN_GAP_DAYS), customers)
    dropout = rng.beta(*DROPOUT, customers)
    clock = rng.uniform(0, DAYS, customers)
    alive, parts = np.arange(customers), []
    while alive.size:
        parts.append(pd.DataFrame({"number": alive, "day": np.floor(clock[alive]).astype(int)}))
        alive = alive[rng.random(alive.size) > dropout[alive]]
        clock[alive] += rng.standard_exponential(alive.size) / np.maximum(rate[alive], 1e-9)
        alive = alive[clock[alive] < DAYS]
    rows = pd.concat(parts, ignore_index=True).drop_duplicates().sort_values(["day", "number"])
    amount = np.round(5 + 40 * rng.random(len(rows)), 2)
    ordered_at = pd.Timestamp(FIRST_DAY) + pd.to_timedelta(rows["day"].to_numpy(), unit="D")
    ids = "c" + rows["number"].astype(str).str.zfill(6)
    return pd.DataFrame({"customer_id": ids.to_numpy(), "ordered_at": ordered_at, "amount": amount})
