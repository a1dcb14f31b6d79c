"""Choice sets of unequal propensities: averages weigh them so that evidence only ever helps."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.uplift.average import mean_by_customer
from churn.uplift.experiment import ExperimentData
from churn.uplift.learners import pseudo_outcomes

EFFECT = 0.05


def lot(name: str, rows: int, share: float, seed: int) -> pd.DataFrame:
    """Contacts of which each got the coupon with probability `share`; it retains 5 points more."""
    random = np.random.default_rng([seed, len(name)])
    treated = random.random(rows) < share
    return pd.DataFrame(
        {
            "customer_id": [f"{name}{number}" for number in range(rows)],
            "lot": name,
            "offer_id": np.where(treated, "coupon", "none"),
            "propensity": np.where(treated, share, 1 - share),
            "retained": (random.random(rows) < 0.6 + EFFECT * treated).astype(float),
            "margin": 0.0,
        }
    )


def data_of(*lots: pd.DataFrame) -> ExperimentData:
    return ExperimentData(pd.concat(lots, ignore_index=True), (), 28)


def average(data: ExperimentData, *, weighted: bool = True):
    pseudo = pseudo_outcomes(data, ("coupon",), np.full((len(data), 2), 0.6))[:, 0]
    weight = data.overlap_weights("coupon") if weighted else None
    return mean_by_customer(pseudo, data.customer, weight)


def test_the_weight_of_a_choice_set_is_its_overlap():
    data = data_of(lot("half", 4_000, 0.5, 1), lot("plan", 40_000, 0.9, 2))
    weights = pd.Series(data.overlap_weights("coupon")).groupby(data.rows["lot"]).unique()
    assert weights["half"] == pytest.approx([1.0])
    assert weights["plan"] == pytest.approx([0.9 * 0.1 / (0.5 * 0.5)], rel=0.05)


def test_one_choice_set_is_the_plain_mean_to_the_last_bit():
    data = data_of(lot("half", 501, 0.37, 3))
    assert (data.overlap_weights("coupon") == 1.0).all()
    assert average(data) == average(data, weighted=False)


def test_rows_outside_the_choice_sets_of_an_offer_have_no_weight():
    other = lot("other", 100, 0.5, 4).replace({"coupon": "points"})
    data = data_of(lot("half", 100, 0.5, 5), other)
    assert (data.overlap_weights("coupon") > 0).sum() == 100


@given(st.floats(0.02, 0.98), st.integers(0, 200), st.integers(100, 6_000))
@settings(max_examples=40)
def test_the_rows_of_a_further_plan_never_widen_the_interval(share, seed, rows):
    """Beyond what the noise of the estimated errors themselves explains."""
    known, more = lot("half", 4_000, 0.5, seed), lot("further", rows, share, seed)
    if more["offer_id"].nunique() < 2:
        return
    assert average(data_of(known, more)).error <= 1.01 * average(data_of(known)).error


def test_the_plain_mean_unlearns_where_the_weighted_one_learns():
    known = lot("half", 4_000, 0.5, 6)
    both = data_of(known, lot("plan", 7_000, 0.97, 7))
    before = average(data_of(known)).error
    assert average(both, weighted=False).error > 1.2 * before
    assert average(both).error < before


def test_the_weighted_average_covers_the_truth():
    found = [
        average(data_of(lot("half", 800, 0.5, seed), lot("plan", 2_000, 0.95, seed + 500)))
        for seed in range(300)
    ]
    covered = np.mean([one.low <= EFFECT <= one.high for one in found])
    assert 0.85 <= covered <= 0.95
