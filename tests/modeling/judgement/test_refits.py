"""Ablation and other horizons: the recipe fitted again, judged on rows that it has not seen."""

from datetime import date

import numpy as np
import pytest
from judged_shop import RECIPE, shop_predictions
from simulated_shop import AS_OF, shop_dataset, shop_panel, shop_tables
from subscription_shop import AS_OF as SUBSCRIBED_AS_OF
from subscription_shop import subscription_tables

from churn.features.clock import FeatureClock
from churn.modeling.dataset import build_dataset
from churn.modeling.judgement.horizons import neighbours, try_horizons
from churn.modeling.judgement.importance import ablate, families_of
from churn.modeling.metrics import log_loss
from churn.modeling.panel import resolve_panel

FEW = (
    *("recency_days", "purchase_days", "tenure_days", "net_spend", "net_spend_three_horizons"),
    *("average_basket", "expected_gap_days"),
)


@pytest.fixture(scope="module")
def learnt():
    dataset = shop_dataset().only(shop_panel().development)
    return type(dataset)(dataset.rows, dataset.cutoffs, dataset.clock, FEW)


def test_each_family_is_left_out_once_and_its_rise_is_that_of_the_loss(learnt):
    steps = []
    found = ablate(RECIPE, learnt, shop_predictions(), progress=steps.append)
    families = families_of(list(FEW))
    assert {one.family: one.features for one in found} == {
        family: len(names) for family, names in families.items()
    }
    assert len(steps) == 1 + len(families)
    one = found[0]
    kept = tuple(name for name in FEW if name not in families[one.family])
    without = type(learnt)(learnt.rows, learnt.cutoffs, learnt.clock, kept)
    losses = [
        log_loss(shop_predictions().outcome, RECIPE.forecast_lapse(rows, shop_predictions().rows))
        for rows in (without, learnt)
    ]
    assert one.loss_rise.estimate == pytest.approx(losses[0] - losses[1])
    assert one.loss_rise.low <= one.loss_rise.estimate <= one.loss_rise.high


def test_three_horizons_are_tried_on_the_same_customers():
    found = try_horizons(RECIPE, shop_tables(), AS_OF, shop_panel().clock, names=FEW)
    assert [one.horizon_days for one in found] == [14, 28, 56]
    rates = [one.base_rate for one in found]
    assert rates == sorted(rates, reverse=True), "the longer the horizon, the fewer lapse"
    for one in found:
        assert one.refused is None
        assert 0.5 < one.roc_auc.estimate < 1
        assert 0 < one.skill < 1
        assert len(one.cutoffs) == 2
        assert one.calibration.rows == one.rows


def test_a_horizon_that_the_data_is_too_short_for_is_refused_in_words():
    clock = shop_panel().clock
    early = shop_tables().span()[0].replace(month=8)
    found = try_horizons(RECIPE, shop_tables(), early, clock, names=FEW)
    assert "test cutoffs whose labels do not overlap" in found[-1].refused
    assert found[-1].roc_auc is None


def test_with_subscriptions_every_horizon_asks_who_does_not_renew():
    tables, end = subscription_tables(), date.fromisoformat(SUBSCRIBED_AS_OF)
    clock = FeatureClock(horizon_days=14, lookback_days=28, mode="contractual")
    names = ("renewals_so_far", "days_to_expiry", *FEW)
    options = {"horizon_days": 14, "lookback_days": 28, "mode": "contractual", "grace_days": 5}
    panel = resolve_panel(tables, end, **options)
    rows = build_dataset(tables, panel.blocks.test, panel.clock, names=names).eligible
    found = try_horizons(RECIPE, tables, end, clock, names=names, grace_days=5)
    (same,) = (one for one in found if one.horizon_days == 14)
    assert same.refused is None
    assert same.cutoffs == tuple(str(cutoff) for cutoff in panel.blocks.test)
    assert (same.rows, same.base_rate) == (len(rows), rows["lapse"].mean())


def test_neighbours_are_never_shorter_than_a_day():
    assert neighbours(1) == (1, 1, 2)
    assert np.all(np.diff(neighbours(90)) > 0)
