"""Slices: every eligible row lies in one slice of each kind."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from churn.features.clock import FeatureClock
from churn.modeling.slices import slices_of

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
ROW = st.tuples(
    st.integers(1, 400), st.integers(1, 20), st.floats(-10, 1000), st.integers(17000, 17200)
)


def rows_of(members):
    columns = ["tenure_days", "purchase_days", "net_spend", "cutoff"]
    return pd.DataFrame(members, columns=columns).assign(status="eligible", recency_days=3)


@given(st.lists(ROW, min_size=1, max_size=30))
def test_slices_of_one_kind_share_the_rows_out(members):
    rows = rows_of(members)
    found = slices_of(rows, CLOCK)
    for kind in ("tenure", "cutoffs of"):
        parts = [mask for name, mask in found.items() if name.startswith(kind)]
        assert (np.sum(parts, axis=0) == 1).all()
    bought_once = found.get("one-time buyers", np.zeros(len(rows), dtype=bool))
    segments = [mask for name, mask in found.items() if name.startswith("segment")]
    assert (np.sum([bought_once, *segments], axis=0) == 1).all()


def test_slices_are_named_by_what_they_hold():
    rows = rows_of([(10, 1, 5.0, 17456), (50, 3, 50.0, 17500), (300, 9, 500.0, 17500)])
    assert sorted(slices_of(rows, CLOCK)) == [
        "cutoffs of 2017-10",
        "cutoffs of 2017-11",
        "one-time buyers",
        "segment best",
        "segment regular",
        "tenure 28 to 112 days",
        "tenure over 112 days",
        "tenure under 28 days",
    ]
