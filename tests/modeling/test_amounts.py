"""Amounts of those who stay: the lifetime models where they earn it, the level where it drifts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_shop import shop_dataset, shop_model, shop_panel

from churn.modeling.amounts import (
    MOST_EXCESS,
    THIN_DAYS,
    choose_amounts,
    lapsed_shares,
    tail_factor,
)
from churn.modeling.dataset import AMOUNTS, Dataset
from churn.modeling.portable import LIFETIME_FEATURES, PortableModel, lifetime_amounts

NAMES = ["recency_days", *LIFETIME_FEATURES]


@pytest.fixture(scope="module")
def development() -> Dataset:
    return shop_dataset().only(shop_panel().development)


def told_by(factor: float, *, noise: float = 0.0):
    """A head that is off by a factor, and by chance."""
    rng = np.random.default_rng(1)

    def predict(name: str, learnt: pd.DataFrame, asked: pd.DataFrame) -> np.ndarray:
        actual = asked[AMOUNTS[name]].to_numpy()
        return factor * (actual + 0.1) * np.exp(noise * rng.normal(size=len(asked)))

    return predict


def flat(name: str, learnt: pd.DataFrame, asked: pd.DataFrame) -> np.ndarray:
    """A head that knows the mean alone."""
    return np.full(len(asked), asked[AMOUNTS[name]].mean())


def with_lifetime(dataset: Dataset, *, good: bool) -> Dataset:
    """The dataset with lifetime features that foresee what comes, or that are a hundred times off.

    Half of its customers are made thin.
    """
    rows = dataset.rows.copy()
    thin = np.arange(len(rows)) % 2 == 0
    rows["purchase_days"] = np.where(thin, 2.0, 9.0)
    silent = 0.5
    off = 1.0 if good else 100.0
    rows["p_no_purchase_in_horizon"] = silent
    rows["expected_purchase_days"] = off * (rows["horizon_orders"] + 0.01) * (1 - silent)
    rows["expected_spend_in_horizon"] = off * (rows["horizon_fenced_spend"] + 0.01) * (1 - silent)
    rows["orders_count"] = rows["purchase_days"]
    return Dataset(rows, dataset.cutoffs, dataset.clock, dataset.feature_names)


def test_lifetime_models_speak_of_the_thin_where_they_are_better_beyond_chance(development):
    good = choose_amounts(with_lifetime(development, good=True), NAMES, flat)
    assert good["lifetime"] == ["orders", "spend"]
    assert (good["thin_days"], good["orders_per_day"]) == (THIN_DAYS, 1.0)
    assert choose_amounts(with_lifetime(development, good=False), NAMES, flat)["lifetime"] == []


def test_without_their_features_the_trees_speak_of_everyone(development):
    found = choose_amounts(with_lifetime(development, good=True), ["recency_days"], flat)
    assert found["lifetime"] == []


def test_a_level_that_has_drifted_is_corrected_and_a_season_is_not(development):
    for factor, wanted in ((1.0, 1.0), (1.15, 1 / 1.15), (0.9, 1 / 0.9), (2.0, 1.0), (0.5, 1.0)):
        scale = choose_amounts(development, ["recency_days"], told_by(factor))["scale"]
        assert scale["spend"] == pytest.approx(wanted, rel=0.02)


def test_a_level_that_may_be_off_by_chance_stays(development):
    scale = choose_amounts(development, ["recency_days"], told_by(0.75, noise=0.8))["scale"]
    assert scale["spend"] == 1.0


def test_one_cutoff_alone_corrects_nothing(development):
    one = development.only(development.cutoffs.only(development.cutoffs.dates[-1:]))
    assert choose_amounts(one, NAMES, flat)["scale"] == {"orders": 1.0, "spend": 1.0}


def test_the_lapsing_bring_nothing_where_a_lapse_is_no_purchase(development):
    rows = development.eligible
    shares = lapsed_shares(rows, lambda name: np.ones(len(rows)))
    assert shares == {"orders": 0.0, "spend": 0.0} == shop_model().amounts_["lapsed_share"]


def test_what_the_lapsing_still_bring_is_a_share_of_what_staying_means():
    rows = pd.DataFrame(
        {
            "lapse": [1.0, 1.0, 0.0],
            "horizon_orders": [1.0, 0.0, 4.0],
            "horizon_fenced_spend": [10.0, -4.0, 40.0],
        }
    )
    shares = lapsed_shares(rows, lambda name: np.array([2.0, 2.0, 2.0]))
    assert shares == {"orders": 0.25, "spend": 2.5}


def asked(**columns: list[float]) -> pd.DataFrame:
    """Rows of the shop's model, of one eligible customer, with some features changed."""
    rows = shop_dataset().eligible.head(len(next(iter(columns.values()))))
    return rows[["status", *shop_model().feature_names_]].assign(**columns)


def changed(**amounts: object) -> PortableModel:
    """The shop's model with another way to tell amounts."""
    spec = shop_model().spec()
    return PortableModel(
        {**spec, "amounts": {**spec["amounts"], **amounts}}, shop_model().heads_, 1
    )


def test_only_the_thin_and_the_new_are_told_by_the_lifetime_models():
    rows = asked(
        purchase_days=[3.0, 4.0, 2.0, 2.0],
        status=["eligible", "eligible", "new", "lapsed"],
        expected_purchase_days=[1.0] * 4,
        expected_spend_in_horizon=[50.0] * 4,
        p_no_purchase_in_horizon=[0.5] * 4,
    )
    level = {"orders": 1.0, "spend": 1.0}
    trees, lifetime = (
        changed(lifetime=who, level=level).predict(rows) for who in ([], ["orders", "spend"])
    )
    told = lifetime["expected_orders"] / (1 - lifetime["churn_probability"])
    per_day = shop_model().amounts_["orders_per_day"]
    assert told.iloc[[0, 2]].tolist() == pytest.approx([2.0 * per_day] * 2)
    margin = lifetime["expected_margin"] + lifetime["value_at_risk"]
    assert margin.iloc[[0, 2]].tolist() == pytest.approx([0.3 * 100.0] * 2)
    pd.testing.assert_frame_equal(lifetime.iloc[[1, 3]], trees.iloc[[1, 3]])


def test_a_newcomer_without_a_purchase_keeps_the_amounts_of_the_group():
    nothing = {name: [np.nan] for name in LIFETIME_FEATURES}
    rows = asked(status=["new"], recency_days=[np.nan], **nothing)
    said = changed(lifetime=["orders", "spend"]).predict(rows)
    assert np.isfinite(said["expected_margin"].iloc[0])


@given(st.floats(0, 1), st.floats(0.5, 1.2))
def test_expected_margin_and_value_at_risk_add_up_to_the_margin_of_staying(share, scale):
    shares, scales = ({"orders": v, "spend": v} for v in (share, scale))
    rows = asked(purchase_days=[9.0, 20.0])
    said = changed(lapsed_share=shares, scale=scales).predict(rows)
    plain = changed().predict(rows)
    both = said["expected_margin"] + said["value_at_risk"]
    base = (plain["expected_margin"] + plain["value_at_risk"]) / shop_model().amounts_["scale"][
        "spend"
    ]
    np.testing.assert_allclose(both, scale * base, rtol=1e-12)
    assert (said["value_at_risk"] <= plain["churn_probability"] * both + 1e-12).all()


@given(st.floats(0, 0.999), st.floats(0.001, 50), st.floats(0.01, 1e4))
def test_lifetime_amounts_times_the_probability_of_buying_are_the_expectation(silent, days, spend):
    names = dict(zip(LIFETIME_FEATURES, ([days], [spend], [silent]), strict=True))
    orders, money = lifetime_amounts({"orders_per_day": 1.5}, pd.DataFrame(names))
    assert orders[0] * (1 - silent) == pytest.approx(1.5 * days)
    assert money[0] * (1 - silent) == pytest.approx(spend)


FENCE = 400.0


def spending(customers: np.ndarray, amounts: np.ndarray, cutoffs: int = 6) -> pd.DataFrame:
    """Rows of the retained: what each spent at each cutoff, and of it what the fence leaves."""
    frame = pd.DataFrame({"customer": customers, "amount": amounts})
    frame["fenced"] = frame["amount"].clip(-FENCE, FENCE)
    frame["cutoff"] = np.arange(len(frame)) % cutoffs
    sums = frame.groupby(["cutoff", "customer"], as_index=False)[["amount", "fenced"]].sum()
    names = {"amount": "horizon_net_spend", "fenced": "horizon_fenced_spend"}
    return sums.rename(columns=names).assign(lapse=0.0)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(1e3, 1e9), st.integers(20, 400))
def test_one_giant_order_moves_the_sums_of_all_others_by_at_most_its_bound(seed, giant, orders):
    rng = np.random.default_rng(seed)
    amounts = rng.lognormal(3, 0.7, size=orders)
    customers = rng.integers(0, max(orders // 4, 1), size=orders)
    clean = tail_factor(spending(customers, amounts))
    amounts[rng.integers(orders)] = giant
    assert abs(tail_factor(spending(customers, amounts)) - clean) <= MOST_EXCESS


def test_sums_of_an_honest_heavy_tail_are_whole():
    """Fenced sums lose a tenth of a log-normal with deviation 1.6; the factor gives it back."""
    rng = np.random.default_rng(8)
    amounts = np.exp(rng.normal(3.2, 1.6, size=20_000))
    rows = spending(rng.integers(0, 3_000, size=20_000), amounts)
    fenced, came = rows["horizon_fenced_spend"].sum(), rows["horizon_net_spend"].sum()
    assert fenced < 0.9 * came
    assert tail_factor(rows) * fenced == pytest.approx(came, rel=0.02)


def test_without_orders_beyond_the_fence_nothing_is_corrected():
    rows = spending(np.arange(50), np.full(50, 30.0))
    assert tail_factor(rows) == tail_factor(rows.assign(lapse=1.0)) == 1.0


def test_rows_stand_for_as_many_as_their_weight_says():
    rng = np.random.default_rng(2)
    rows = spending(rng.integers(0, 900, size=6_000), np.exp(rng.normal(5, 0.6, size=6_000)))
    twice = pd.concat([rows, rows.head(300)])
    weighted = rows.assign(weight=np.where(np.arange(len(rows)) < 300, 2.0, 1.0))
    assert tail_factor(weighted) == pytest.approx(tail_factor(twice), rel=1e-3)
