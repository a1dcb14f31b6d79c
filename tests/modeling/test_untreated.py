"""A model of risk learns what happens without us: rows that we treated do not teach it."""

import importlib.util
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.features.clock import FeatureClock
from churn.modeling.dataset import Dataset, row_weights
from churn.modeling.untreated import treatments, untreated

CUTOFF = date(2024, 3, 1)
DAY = day_number(CUTOFF)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
PANEL = Cutoffs((CUTOFF,), 28, date(2024, 5, 1))


def dataset_of(*names: str) -> Dataset:
    rows = pd.DataFrame({"customer_id": list(names), "cutoff": DAY, "status": "eligible"})
    return Dataset(rows, PANEL, CLOCK, ())


def contact(name: str, day: int, *, treated: bool, propensity: float = 0.9) -> dict[str, object]:
    return {"customer_id": name, "day": DAY + day, "treated": treated, "propensity": propensity}


def weights(found) -> dict[str, float]:
    rows = found.dataset.rows
    return dict(zip(rows["customer_id"], rows["weight"], strict=True))


def test_a_row_treated_within_its_window_is_left_out():
    days = {"before": -1, "first": 0, "last": 27, "after": 28}
    contacts = pd.DataFrame([contact(name, day, treated=True) for name, day in days.items()])
    found = untreated(dataset_of(*days), contacts)
    assert weights(found) == {"before": 1.0, "after": 1.0}
    assert found.counts == {"treated": 2, "kept_by_lot": 0, "by_rule": 0}


@pytest.mark.parametrize("propensity", [float("nan"), 1.0, 0.0])
def test_an_offer_that_no_lot_decided_leaves_its_row_as_it_came(propensity):
    """Nobody stands for whom a rule picked: without them the riskiest would be missing."""
    contacts = pd.DataFrame(
        [
            contact("by rule", 3, treated=True, propensity=propensity),
            contact("by both", 3, treated=True, propensity=propensity),
            contact("by both", 5, treated=True),
        ]
    )
    found = untreated(dataset_of("by rule", "by both", "nobody"), contacts)
    assert weights(found) == {"by rule": 1.0, "nobody": 1.0}
    assert found.counts == {"treated": 1, "kept_by_lot": 0, "by_rule": 1}


def test_who_was_kept_by_lot_stands_for_the_others_and_who_was_no_candidate_for_himself():
    contacts = pd.DataFrame(
        [
            contact("held", 3, treated=False, propensity=0.1),
            contact("twice", 3, treated=False, propensity=0.5),
            contact("twice", 9, treated=False, propensity=0.25),
            contact("no lot", 3, treated=False, propensity=float("nan")),
            contact("both", 3, treated=False, propensity=0.1),
            contact("both", 4, treated=True),
        ]
    )
    found = untreated(dataset_of("held", "twice", "no lot", "both", "nobody"), contacts)
    assert weights(found) == pytest.approx(
        {"held": 10.0, "twice": 8.0, "no lot": 1.0, "nobody": 1.0}
    )


@given(st.integers(0, 200), st.floats(0.1, 0.9))
def test_the_weights_add_up_to_all_rows(seed, kept_share):
    rng = np.random.default_rng(seed)
    names = [f"c{number}" for number in range(2_000)]
    kept = rng.random(2_000) < kept_share
    contacts = pd.DataFrame(
        [
            contact(name, 1, treated=not one, propensity=kept_share if one else 1 - kept_share)
            for name, one in zip(names, kept, strict=True)
        ]
    )
    total = untreated(dataset_of(*names), contacts).dataset.rows["weight"].sum()
    assert abs(total - 2_000) < 5 * np.sqrt(2_000 * (1 - kept_share) / kept_share)


def test_without_contacts_nothing_changes():
    dataset = dataset_of("ann")
    assert untreated(dataset, None).dataset is dataset
    assert row_weights(dataset.rows) is None


ORDERS = [{"customer_id": "ann", "ordered_at": pd.Timestamp("2024-02-01", tz="UTC"), "amount": 9.0}]


def contacts_table(**columns: list[object]) -> pd.DataFrame:
    sent = pd.to_datetime(["2024-03-02"] * 4, utc=True)
    least = {"customer_id": ["ann", "bob", "cid", "dan"], "contacted_at": sent, "campaign_id": "s"}
    return pd.DataFrame(least | columns)


def test_treatments_are_offers_sent_and_controls_are_none(open_shop):
    frame = contacts_table(
        offer_id=["coupon", "none", "coupon", "coupon"],
        arm=["treatment", "explore", "holdout", "Control"],
        propensity=[0.8, 0.2, 0.2, 0.2],
    )
    found = treatments(open_shop(ORDERS, contacts=frame))
    by_name = found.set_index("customer_id")["treated"].to_dict()
    assert by_name == {"ann": True, "bob": False, "cid": False, "dan": False}


@pytest.mark.parametrize("propensity", [None, [float("nan")] * 4, [1.0] * 4])
def test_where_no_lot_decided_nothing_is_known_and_nothing_is_done(open_shop, propensity):
    columns = {} if propensity is None else {"propensity": propensity}
    assert treatments(open_shop(ORDERS, contacts=contacts_table(**columns))) is None
    assert treatments(open_shop(ORDERS)) is None


@pytest.fixture(scope="module")
def cycles():
    path = Path(__file__).parents[2] / "benchmarks/cycles.py"
    spec = importlib.util.spec_from_file_location("cycles", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["cycles"] = module
    spec.loader.exec_module(module)
    return module


def test_five_cycles_of_training_and_treating_keep_the_calibration_that_a_naive_loop_loses(cycles):
    aware = cycles.run_cycles(cycles.AWARE, customers=10_000, seed=1)
    naive = cycles.run_cycles(cycles.NAIVE, customers=10_000, seed=1)
    assert len(aware) == len(naive) == 5
    assert max(aware) < 0.03
    assert naive[-1] > 0.05
