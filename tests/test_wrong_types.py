"""Wrong types passed to public functions are reported by a ChurnError with a fix."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from simulated_shop import AS_OF, shop_dataset, shop_model, shop_panel, shop_tables

import churn

CLOCK = churn.FeatureClock(horizon_days=28, lookback_days=56)
PANEL = churn.Cutoffs.every(14, until="2024-01-01", horizon_days=28, count=3)


def now():
    return shop_tables().as_of(AS_OF)


def scores():
    return churn.score(shop_model(), now(), explain="none")


def no_offers():
    return churn.Offers(campaign_id="spring", offers=())


WRONG = {
    "frames: nothing": lambda: churn.Tables.from_frames(None),
    "frames: a list": lambda: churn.Tables.from_frames([("anna", "2024-01-01", 3.0)]),
    "frames: a path": lambda: churn.Tables.from_frames("orders.csv"),
    "frames: a Path": lambda: churn.Tables.from_frames(Path("orders.csv")),
    "frames: a number": lambda: churn.Tables.from_frames(3),
    "frames: no consents": lambda: churn.Tables.from_frames(pd.DataFrame(), consents=[]),
    "as_of: a number": lambda: shop_tables().as_of(123),
    "as_of: nothing": lambda: shop_tables().as_of(None),
    "as_of: no date": lambda: shop_tables().as_of("yesterday"),
    "cutoffs: a list": lambda: churn.Cutoffs([date(2024, 1, 1)], 28, date(2024, 6, 1)),
    "cutoffs: texts": lambda: churn.Cutoffs(("2024-01-01",), 28, date(2024, 6, 1)),
    "cutoffs: no horizon": lambda: churn.Cutoffs((date(2024, 1, 1),), "28", date(2024, 6, 1)),
    "cutoffs: no until": lambda: churn.Cutoffs((date(2024, 1, 1),), 28, "2024-06-01"),
    "every: a text": lambda: churn.Cutoffs.every("14", until="2024-01-01", horizon_days=28),
    "every: no horizon": lambda: churn.Cutoffs.every(14, until="2024-01-01", horizon_days="28"),
    "every: until": lambda: churn.Cutoffs.every(14, until=20240101, horizon_days=28),
    "every: lead": lambda: churn.Cutoffs.every(9, until=AS_OF, horizon_days=28, lead_days="3"),
    "clock: a text": lambda: churn.FeatureClock(horizon_days="28", lookback_days=56),
    "build: no tables": lambda: churn.build_features(None, [AS_OF], CLOCK),
    "build: a date": lambda: churn.build_features(shop_tables(), AS_OF, CLOCK),
    "build: a text": lambda: churn.build_features(shop_tables(), "2024-01-01", CLOCK),
    "build: numbers": lambda: churn.build_features(shop_tables(), [3], CLOCK),
    "build: no clock": lambda: churn.build_features(shop_tables(), [AS_OF], 28),
    "build: one customer": lambda: churn.build_features(
        shop_tables(), [AS_OF], CLOCK, customers="ann"
    ),
    "build: one name": lambda: churn.build_features(
        shop_tables(), [AS_OF], CLOCK, names="recency_days"
    ),
    "dataset: no tables": lambda: churn.build_dataset(None, PANEL),
    "dataset: a list": lambda: churn.build_dataset(shop_tables(), [AS_OF]),
    "dataset: no clock": lambda: churn.build_dataset(shop_tables(), PANEL, 28),
    "split: a number": lambda: shop_dataset().split(3),
    "fit: rows": lambda: churn.ChurnModel().fit(shop_dataset().rows),
    "fit: nothing": lambda: churn.ChurnModel().fit(None),
    "fit: rounds": lambda: churn.ChurnModel(rounds="200").fit(shop_dataset()),
    "fit: rate": lambda: churn.ChurnModel(learning_rate="x").fit(shop_dataset()),
    "fit: margin": lambda: churn.ChurnModel(margin_rate=None).fit(shop_dataset()),
    "predict: nothing": lambda: shop_model().predict_proba(None),
    "predict: a list": lambda: shop_model().predict_frame([1.0, 2.0]),
    "save: nothing": lambda: shop_model().save(None),
    "evaluate: nothing": lambda: churn.evaluate(None, shop_dataset()),
    "evaluate: rows": lambda: churn.evaluate(shop_model(), shop_dataset().rows),
    "load_model: nothing": lambda: churn.load_model(None),
    "load_model: a number": lambda: churn.load_model(3),
    "load_model: nowhere": lambda: churn.load_model("models/nowhere"),
    "load_settings: nothing": lambda: churn.load_settings(None),
    "load_tables: a number": lambda: churn.load_tables(3),
    "score: a path": lambda: churn.score("models/champion", now()),
    "score: tables": lambda: churn.score(shop_model(), shop_tables()),
    "score: capacity": lambda: churn.score(shop_model(), now(), capacity="10 %"),
    "score: rank": lambda: churn.score(shop_model(), now(), rank="money"),
    "score: explain": lambda: churn.score(shop_model(), now(), explain=3),
    "score: language": lambda: churn.score(shop_model(), now(), language=["en"]),
    "score: since": lambda: churn.score(shop_model(), now(), since="scores.parquet"),
    "explain: no model": lambda: churn.explain(None, now(), ["c0001"]),
    "explain: tables": lambda: churn.explain(shop_model(), shop_tables(), ["c0001"]),
    "explain: one name": lambda: churn.explain(shop_model(), now(), "c0001"),
    "explain: nothing": lambda: churn.explain(shop_model(), now(), None),
    "explain: numbers": lambda: churn.explain(shop_model(), now(), [1, 2]),
    "offers: nothing": lambda: churn.Offers.load(None),
    "offers: a number": lambda: churn.Offers.load(3),
    "plan: a frame": lambda: churn.plan_offers(
        scores().to_pandas(), now(), no_offers(), budget=9.0
    ),
    "plan: tables": lambda: churn.plan_offers(scores(), shop_tables(), no_offers(), budget=9.0),
    "plan: a path": lambda: churn.plan_offers(scores(), now(), "offers.toml", budget=9.0),
    "plan: budget": lambda: churn.plan_offers(scores(), now(), no_offers(), budget="9 EUR"),
    "recommend: tables": lambda: churn.recommend(shop_tables()),
    "recommend: top": lambda: churn.recommend(now(), top="ten"),
    "recommend: horizon": lambda: churn.recommend(now(), horizon_days="28"),
    "recommend: kind": lambda: churn.recommend(now(), kind="fresh"),
    "metrics: no tables": lambda: churn.metrics(None, active_days=56),
    "metrics: days": lambda: churn.metrics(shop_tables(), active_days="56"),
    "metrics: period": lambda: churn.metrics(shop_tables(), active_days=56, period="fortnight"),
    "metrics: by": lambda: churn.metrics(shop_tables(), active_days=56, by=["weather"]),
    "cohorts: a path": lambda: churn.cohorts("orders.csv", active_days=56),
    "cohorts: days": lambda: churn.cohorts(shop_tables(), active_days=0),
    "segments: no tables": lambda: churn.segments(None, CLOCK),
    "segments: no clock": lambda: churn.segments(shop_tables(), 28),
    "segments: since": lambda: churn.segments(shop_tables(), CLOCK, since="2099-01-01"),
    "journey: no tables": lambda: churn.journey("orders.csv", CLOCK),
    "journey: no clock": lambda: churn.journey(shop_tables(), None),
    "signals: no tables": lambda: churn.signals(now(), active_days=56),
    "signals: days": lambda: churn.signals(shop_tables(), active_days=5.6),
    "feedback: no tables": lambda: churn.feedback(None, active_days=56),
    "feedback: days": lambda: churn.feedback(shop_tables(), active_days=None),
    "names: a text": lambda: churn.feature_names("orders"),
    "names: a number": lambda: churn.feature_names(families=3),
    "names: one family": lambda: churn.feature_names(families="money"),
    "feature: over": lambda: churn.feature(family="ours", unit="days", over="weeks"),
    "feature: no function": lambda: churn.feature(family="ours", unit="days", over="days")(3),
    "features_over": lambda: churn.features_over("weeks", [], family="ours", unit="days"),
    "sums": lambda: churn.sums(ours=3),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_named_with_its_fix(name):
    with pytest.raises(churn.ChurnError) as failure:
        WRONG[name]()
    message = str(failure.value)
    assert (
        failure.value.fix or "Pass one row of features" in message
    )  # the portable model's own words
    assert message.endswith(failure.value.fix)


def test_every_public_function_is_among_them():
    """A new function needs a case for wrong types."""
    called = " ".join(WRONG) + " " + " ".join(code.__code__.co_names[1] for code in WRONG.values())
    functions = {name for name in churn.__all__ if not name[0].isupper()}
    missing = {
        name for name in functions if name not in called and name.split("_")[0] not in called
    }
    assert missing == set()
    assert shop_panel().clock == CLOCK
