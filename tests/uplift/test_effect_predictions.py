"""Learnt effects for every scored customer: in the scores' order, by trees or by the average."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churn.data.tables import Tables
from churn.features.builder import build_features
from churn.features.clock import FeatureClock
from churn.offers.catalogue import Offers
from churn.uplift.average import EffectLine, Estimate
from churn.uplift.effect_predictions import measured_effects
from churn.uplift.learnt import KnownEffect, LearntEffects

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
LINE = EffectLine(average=Estimate(0.05, 0.01), slope=1.0, slope_error=0.1, centre=0.0)
SHIFT = (0.1, 0.3, 0.5)


@pytest.fixture(scope="module")
def snapshot():
    rng = np.random.default_rng(2)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 150, 300), unit="D")
    orders = pd.DataFrame(
        {
            "customer_id": [f"c{number % 40}" for number in range(300)],
            "ordered_at": days,
            "amount": rng.uniform(1, 50, 300),
        }
    )
    return Tables.from_frames(orders).as_of("2024-06-01")


@pytest.fixture(scope="module")
def scores():
    ids = [f"c{number}" for number in reversed(range(40))]
    risk = np.linspace(0.2, 0.6, 40)
    risk[3] = np.nan
    return pa.table({"customer_id": ids, "status": ["eligible"] * 40, "churn_probability": risk})


@pytest.fixture
def catalogue(make_offer):
    return Offers((make_offer("known"), make_offer("untried")), "c")


def learnt(text=None, verdict="average"):
    known = KnownEffect("known", verdict, LINE, SHIFT, text)
    return LearntEffects({"known": known}, ("recency_days", "purchase_days"), 28)


def test_nothing_measured_of_these_offers_is_none(snapshot, scores, catalogue):
    small = learnt(verdict="too small to tell")
    assert measured_effects(small, scores, snapshot, catalogue, CLOCK) is None


def test_an_average_effect_needs_no_features(snapshot, scores, catalogue):
    found = measured_effects(learnt(), scores, snapshot, catalogue, CLOCK)
    assert found.source == ("measured", "assumed")
    assert np.isnan(found.mean[3, 0])
    assert (np.delete(found.mean[:, 0], 3) > 0).all()


def test_an_individual_effect_is_that_of_the_customers_own_features(
    snapshot, scores, catalogue, monkeypatch
):
    """The trees are asked about each customer's own row, whatever the order of the scores."""
    asked = learnt("trees", "individual")
    monkeypatch.setattr(
        "churn.uplift.learnt.predict_booster",
        lambda _, matrix: 0.001 * matrix[:, 0].astype(float),
    )
    steady = replace(asked.known["known"], line=replace(LINE, average=Estimate(0.0, 0.0)))
    asked = replace(asked, known={"known": steady})
    found = measured_effects(asked, scores, snapshot, catalogue, CLOCK)
    built = build_features(
        snapshot.tables, [snapshot.as_of], CLOCK, names=("recency_days", "purchase_days")
    )
    rows = snapshot.tables.engine.collect(built).to_pandas().set_index("customer_id")
    expected = 0.001 * rows.loc[scores["customer_id"].to_pylist(), "recency_days"].to_numpy()
    expected = np.where(np.isnan(scores["churn_probability"].to_numpy()), np.nan, expected)
    np.testing.assert_allclose(found.mean[:, 0], expected, rtol=1e-6)
