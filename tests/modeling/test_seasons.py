"""The season of the level: last year's deviation from BG/NBD, unless last year was odd."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.features.clock import FeatureClock
from churn.modeling.amounts import level_of_sums
from churn.modeling.blend import fit_blend
from churn.modeling.card import season_in_words
from churn.modeling.dataset import build_dataset
from churn.modeling.model import ChurnModel
from churn.modeling.seasons import Season, year_ago

FIRST = date(2022, 1, 1)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
AS_OF = date(2023, 11, 27)


def seasonal_orders(customers: int = 400, days: int = 730, giant: float = 0.0) -> pd.DataFrame:
    """Orders at a steady rate, but for four busy weeks before each Christmas."""
    rng = np.random.default_rng(5)
    calendar = pd.date_range(FIRST, periods=days)
    busy = (calendar.month == 12) & (calendar.day < 26)
    parts = []
    for number in range(customers):
        chance = rng.gamma(3.0, 1 / 120) * np.where(busy, 2.0, 1.0)
        days_bought = calendar[rng.random(days) < chance]
        amount = rng.lognormal(3, 0.3, len(days_bought)).round(2)
        part = pd.DataFrame({"ordered_at": days_bought, "amount": amount})
        parts.append(part.assign(customer_id=f"c{number:04d}"))
    orders = pd.concat(parts, ignore_index=True)
    inside = orders["ordered_at"] == orders["ordered_at"][orders["ordered_at"] > "2022-12-05"].min()
    orders.loc[orders.index[inside][:1], "amount"] += giant
    return orders


def dataset_of(orders: pd.DataFrame):
    tables = Tables.from_frames(orders, currency="EUR")
    cutoffs = Cutoffs.every(28, until=AS_OF, horizon_days=28, count=5)
    found = build_dataset(tables, cutoffs, CLOCK)
    tables.close()
    return found


@pytest.fixture(scope="module")
def dataset():
    return dataset_of(seasonal_orders())


def test_a_year_earlier_needs_a_past_of_two_horizons_and_half_a_year():
    first = date(2020, 1, 1)
    cutoff = first + timedelta(days=364 + 182)
    assert year_ago([cutoff], first, CLOCK) == (first + timedelta(days=182),)
    assert year_ago([cutoff - timedelta(days=1)], first, CLOCK) == ()
    long = replace(CLOCK, horizon_days=150)
    assert year_ago([cutoff], first, long) == ()
    assert year_ago([cutoff + timedelta(days=900)], first, replace(CLOCK, horizon_days=400)) == ()


def test_a_busy_december_is_known_from_the_year_before(dataset):
    """It raises the hazard and the orders; the quiet cutoffs before have no such factor."""
    season = dataset.season(dataset.newest)
    assert 1.4 < season.hazard < 2.0
    assert 1.3 < season.orders < 2.0
    quiet = dataset.season(dataset.rows[dataset.rows["cutoff"] == dataset.rows["cutoff"].min()])
    assert 0.75 < quiet.hazard < 1.25


def test_the_factor_is_used_to_the_power_of_seven_tenths_and_shown(dataset):
    season = dataset.season(dataset.newest)
    spec = fit_blend(dataset, seed=1)["season"]
    assert spec["factor"] == pytest.approx(season.hazard**0.7)
    assert f"bought at {season.hazard:.2f} times the rate" in season_in_words(spec)


def test_an_odd_year_is_not_followed_and_the_card_says_why(dataset):
    day = int(dataset.newest["cutoff"].iloc[0])
    odd = replace(dataset, seasons={day: Season(2.5, 1.0, 1.0, 100)})
    spec = fit_blend(odd, seed=1)["season"]
    assert spec["factor"] == 1.0
    assert season_in_words(spec) == (
        "Season: none assumed (last year deviated by more than a factor of two)."
    )


def test_a_season_that_did_harm_at_the_newest_known_outcome_is_not_followed(dataset):
    now, newest = (int(rows["cutoff"].iloc[0]) for rows in (dataset.newest, dataset.rows.tail(1)))
    wrong = {now: Season(1.2, 1.0, 1.0, 100), newest: Season(1.99, 1.0, 1.0, 100)}
    spec = fit_blend(replace(dataset, seasons=wrong), seed=1)["season"]
    assert spec["because"] == "the year before did harm at the newest known outcome"


def test_sums_are_those_of_the_lifetime_models_times_last_years_factor(dataset):
    model = ChurnModel(seed=7, rounds=20, threads=1).fit(dataset)
    rows = dataset.newest[dataset.newest["status"] == "eligible"]
    said = model.predict_frame(rows[["customer_id", "status", *model.feature_names_]])
    season = dataset.season(dataset.newest)
    per_day = model.amounts_["orders_per_day"]
    expected = season.orders * per_day * rows["expected_purchase_days"].sum()
    assert said["expected_orders"].sum() == pytest.approx(expected)
    whole = model.margin_rate * model.amounts_["tail_factor"]
    spend = season.spend * rows["expected_spend_in_horizon"].sum()
    assert said["expected_margin"].sum() == pytest.approx(whole * spend)


def test_one_giant_order_last_year_moves_the_season_by_little(dataset):
    usual, moved = dataset.season(dataset.newest), None
    giant = dataset_of(seasonal_orders(giant=80_000.0))
    moved = giant.season(giant.newest)
    assert moved.spend == pytest.approx(usual.spend, rel=0.05)
    assert (moved.hazard, moved.orders) == pytest.approx((usual.hazard, usual.orders))


def test_without_a_season_the_sum_lies_between_the_model_s_and_the_lifetime_models():
    rows = pd.DataFrame(
        {
            "expected_purchase_days": [2.0, 2.0],
            "expected_spend_in_horizon": [40.0, 60.0],
            "p_no_purchase_in_horizon": [0.5, 0.5],
        }
    )
    totals = {"orders": 16.0, "spend": 400.0}
    spec = {"orders_per_day": 1.0, "checked": True}
    half = level_of_sums(spec, None, rows, totals)
    assert half == pytest.approx({"orders": 0.5, "spend": 0.5})
    unchecked = level_of_sums(spec | {"checked": False}, None, rows, totals)
    assert unchecked == pytest.approx({"orders": 0.25, "spend": 0.25})
    odd = Season(1.0, 3.0, 1.0, 100)
    assert level_of_sums(spec, odd, rows, totals) == half
    without = level_of_sums(spec, None, rows.drop(columns="expected_purchase_days"), totals)
    assert without == {"orders": 1.0, "spend": 1.0}
