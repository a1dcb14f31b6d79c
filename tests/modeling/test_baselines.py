"""The simple rules that a model has to beat are honest probabilities themselves."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import shop_dataset, shop_model

from churn.features.clock import FeatureClock
from churn.features.lifetime import BGNBD
from churn.modeling.baselines import (
    BASELINES,
    LINEAR_TERMS,
    RENEWALS,
    fit_baselines,
    fit_line,
    predict_baseline,
)
from churn.modeling.portable import bg_nbd_no_purchase, logit, sigmoid

NEEDED = {
    "recency": ["recency_days"],
    "active_windows": ["active_window_share"],
    "logistic_rfm": [
        "recency_days",
        "purchase_days",
        "tenure_days",
        "average_basket",
        "expected_gap_days",
    ],
    "bg_nbd": ["tenure_days", "recency_days", "purchase_days"],
}


@pytest.fixture(scope="module")
def rows():
    return shop_dataset().eligible


@pytest.fixture(scope="module")
def buyers():
    """Whoever ever bought: everyone, in this shop."""
    return shop_dataset().rows


@pytest.fixture(scope="module")
def specs(rows, buyers):
    return fit_baselines(rows, buyers, shop_dataset().clock)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_gives_every_row_a_probability(name, specs, rows):
    found = predict_baseline(specs[name], rows)
    assert found.shape == (len(rows),)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_right_on_average_over_the_rows_it_learnt_from(name, specs, rows):
    """A logistic line with a free intercept, and next to no penalty, hits the base rate."""
    found = predict_baseline(specs[name], rows)
    assert found.mean() == pytest.approx(rows["lapse"].mean(), abs=1e-3)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_looks_at_few_features_and_no_others(name, specs, rows):
    assert len(predict_baseline(specs[name], rows[NEEDED[name]])) == len(rows)


def test_the_specs_are_plain_json(specs):
    assert json.loads(json.dumps(specs, allow_nan=False)) == specs
    assert tuple(specs) == BASELINES


def test_the_longer_ago_the_last_purchase_the_likelier_a_lapse(specs):
    days = pd.DataFrame({"recency_days": np.arange(1.0, 200.0)})
    assert (np.diff(predict_baseline(specs["recency"], days)) > 0).all()


def test_the_more_active_windows_the_less_likely_a_lapse(specs):
    share = pd.DataFrame({"active_window_share": np.linspace(0, 1, 50)})
    assert (np.diff(predict_baseline(specs["active_windows"], share)) < 0).all()


def test_a_missing_value_is_no_reason_to_say_nothing(specs):
    unknown = pd.DataFrame({name: [np.nan] for name in NEEDED["logistic_rfm"]})
    assert np.isfinite(predict_baseline(specs["logistic_rfm"], unknown)).all()


positive = st.floats(0.05, 50)
a_history = st.tuples(st.integers(0, 300), st.floats(0, 1), st.floats(1, 2_000))


@given(
    st.fixed_dictionaries({"r": positive, "alpha": positive, "a": positive, "b": positive}),
    st.lists(a_history, min_size=1, max_size=20),
    st.integers(1, 200),
)
def test_bg_nbd_of_the_portable_model_is_that_of_the_features(parameters, histories, horizon):
    """The portable file may import nothing of ours, so it states the formula a second time."""
    repeats, share, age = (np.array(column, dtype=float) for column in zip(*histories, strict=True))
    last = np.where(repeats > 0, share * age, 0.0)
    rows = pd.DataFrame(
        {"tenure_days": age, "recency_days": age - last, "purchase_days": repeats + 1}
    )
    ours = bg_nbd_no_purchase(parameters, horizon, rows)
    theirs = BGNBD(**parameters).probability_no_purchase(
        horizon, repeats, age - rows["recency_days"].to_numpy(), age
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def test_bg_nbd_learns_from_all_buyers_at_the_newest_cutoff_alone(rows, buyers, specs):
    """A customer of several cutoffs is one history, and the lapsed are part of the story."""
    newest = buyers[buyers["cutoff"] == buyers["cutoff"].max()]
    age, recency = newest["tenure_days"].to_numpy(), newest["recency_days"].to_numpy()
    fitted = BGNBD.fit(newest["purchase_days"].to_numpy() - 1, age - recency, age)
    assert specs["bg_nbd"]["bg_nbd"] == fitted.to_dict()
    assert specs["bg_nbd"]["horizon_days"] == 28
    assert fit_baselines(rows, rows, shop_dataset().clock)["bg_nbd"] != specs["bg_nbd"]


def test_the_model_carries_the_baselines_of_its_own_rows():
    assert tuple(shop_model().baselines_) == BASELINES


@given(st.floats(1e-6, 1 - 1e-6))
def test_log_odds_and_back_is_the_same_probability(probability):
    assert sigmoid(logit(np.array([probability])))[0] == pytest.approx(probability, rel=1e-9)


def test_log_odds_of_certainty_stay_finite():
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_where_subscriptions_are_at_stake_a_rule_knows_of_renewals(rows, buyers):
    clock = FeatureClock(horizon_days=28, lookback_days=56, mode="contractual")
    terms = {"is_cancelled": rows["lapse"] * 0.5, "renewals_so_far": 3.0, "plan_days": np.nan}
    found = fit_baselines(rows.assign(**terms), buyers, clock)
    assert tuple(found) == (*BASELINES, RENEWALS)
    named = [name for name, _ in found[RENEWALS]["terms"]]
    assert named == ["is_cancelled", "renewals_so_far", "plan_days"]
    assert RENEWALS not in fit_baselines(rows, buyers, clock)
    said = predict_baseline(found[RENEWALS], rows.assign(**terms))
    assert said[(rows["lapse"] == 1).to_numpy()].min() > said[(rows["lapse"] == 0).to_numpy()].max()


def test_a_subscriber_who_never_bought_has_a_probability_by_every_rule(rows, specs):
    nobody = rows.head(1).assign(**dict.fromkeys(NEEDED["logistic_rfm"], np.nan))
    nobody["active_window_share"] = np.nan
    for spec in specs.values():
        assert 0 < predict_baseline(spec, nobody)[0] < 1


@pytest.mark.parametrize("name", LINEAR_TERMS)
def test_a_weight_counts_as_so_many_rows(name, rows):
    few = rows.head(500)
    times = np.random.default_rng(4).integers(1, 4, size=len(few))
    repeated = few.loc[few.index.repeat(times)]
    spec = {"terms": LINEAR_TERMS[name]}
    weighted = few.assign(weight=times.astype(float))
    one = fit_line(spec, weighted, few["lapse"].to_numpy())
    other = fit_line(spec, repeated, repeated["lapse"].to_numpy())
    said, wanted = (predict_baseline(line, few) for line in (one, other))
    assert said == pytest.approx(wanted, abs=1e-4)
