"""Where nothing changes, the probabilities add up to what comes."""

from datetime import timedelta

import numpy as np
import pytest
from steady_shop import DAYS, FIRST_DAY, steady_orders

from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.features.clock import FeatureClock
from churn.modeling.dataset import build_dataset
from churn.modeling.model import ChurnModel

CUSTOMERS = 9_000
HORIZON_DAYS = 56


@pytest.fixture(scope="module")
def said_and_came():
    """P(lapse) of the eligible at the last cutoff, and who lapsed."""
    tables = Tables.from_frames(steady_orders(CUSTOMERS, seed=4))
    test = FIRST_DAY + timedelta(days=DAYS - HORIZON_DAYS)
    clock = FeatureClock(horizon_days=HORIZON_DAYS, lookback_days=2 * HORIZON_DAYS)
    names = ("recency_days", "purchase_days", "tenure_days", "average_basket", "orders_count")
    names += ("expected_gap_days", "active_window_share", "overdue_ratio", "net_spend")
    names += ("net_spend_three_horizons",)
    panel = Cutoffs.every(28, until=test, horizon_days=HORIZON_DAYS, count=5)
    model = ChurnModel(seed=7, threads=1).fit(build_dataset(tables, panel, clock, names=names))
    later = Cutoffs((test,), HORIZON_DAYS, test + timedelta(days=HORIZON_DAYS))
    rows = build_dataset(tables, later, clock, names=names).eligible
    tables.engine.close()
    said = model.predict_frame(rows[["status", *names]])["churn_probability"]
    return said.to_numpy(), rows["lapse"].to_numpy()


def test_the_sum_of_probabilities_is_near_the_number_who_lapsed(said_and_came):
    """Within three per cent, and what a sum of so many true probabilities strays by chance."""
    said, came = said_and_came
    chance = 2 * np.sqrt((said * (1 - said)).sum()) / said.sum()
    assert chance < 0.06
    assert abs(said.sum() / came.sum() - 1) < 0.03 + chance


def test_each_tenth_of_the_probabilities_is_near_its_share(said_and_came):
    said, came = said_and_came
    for part in np.array_split(np.argsort(said), 10):
        chance = 3.5 * np.sqrt((said[part] * (1 - said[part])).mean() / len(part))
        assert abs(said[part].mean() - came[part].mean()) < 0.02 + chance
