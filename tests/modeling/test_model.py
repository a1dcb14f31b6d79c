"""The churn model keeps scikit-learn's contract and says the same whoever asks, in any order."""

import inspect

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_shop import HORIZON_DAYS, shop_dataset, shop_model, shop_panel, simulated_orders
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from churn.data.tables import Tables
from churn.errors import ConfigError, GateError, ModelError
from churn.modeling.baselines import BASELINES, predict_baseline
from churn.modeling.dataset import build_dataset
from churn.modeling.model import HEADS, ChurnModel
from churn.modeling.portable import OUTPUTS

LEARNT = {
    "amounts_",
    "base_rate_",
    "baselines_",
    "blend_",
    "calibration_",
    "classes_",
    "clock_",
    "cutoffs_",
    "fallback_",
    "feature_names_",
    "heads_",
    "win_back_",
}


@pytest.fixture(scope="module")
def development():
    return shop_dataset().only(shop_panel().development)


@pytest.fixture(scope="module")
def rows():
    """Feature rows of every status, in no order of theirs; the new ones have not bought yet."""
    model = shop_model()
    everyone = shop_dataset().rows
    picked = everyone.groupby("status").sample(40, random_state=3)
    new = picked.head(5).assign(status="new", customer_id=[f"n{i}" for i in range(5)])
    new[model.feature_names_] = np.nan
    mixed = pd.concat([picked, new], ignore_index=True).sample(frac=1, random_state=4)
    return mixed[["customer_id", "cutoff", "status", *model.feature_names_]]


@pytest.fixture(scope="module")
def said(rows):
    return shop_model().predict_frame(rows)


def test_the_constructor_only_stores_its_arguments():
    wanted = {name: object() for name in inspect.signature(ChurnModel).parameters if name != "self"}
    model = ChurnModel(**wanted)
    assert vars(model) == wanted
    assert model.get_params() == wanted


def test_parameters_can_be_set_and_a_clone_has_them_but_nothing_learnt():
    model = shop_model()
    copy = clone(model).set_params(rounds=3)
    assert copy.get_params() == {**model.get_params(), "rounds": 3}
    assert not hasattr(copy, "heads_")


def test_fit_returns_the_model_and_what_it_learnt_ends_in_an_underscore(development):
    model = ChurnModel(rounds=2)
    assert model.fit(development) is model
    learnt = {name for name in vars(model) if name not in model.get_params()}
    assert {name for name in learnt if not name.startswith("_")} == LEARNT
    assert list(model.classes_) == [0, 1]


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_frame"])
def test_a_model_that_has_not_learnt_says_so(method, rows):
    with pytest.raises(NotFittedError, match="Call 'fit' with appropriate arguments"):
        getattr(ChurnModel(), method)(rows)


def test_fitting_leaves_the_rows_as_they_were(development):
    before = development.rows.copy()
    ChurnModel(rounds=1).fit(development)
    pd.testing.assert_frame_equal(development.rows, before)


def test_one_giant_order_moves_the_probability_of_nobody_else_and_their_money_by_little():
    """An order of 77,183.60 in place of some 20, in what is learnt."""
    orders = simulated_orders(250)
    cutoffs = shop_panel().cutoffs
    inside = orders[orders["ordered_at"] >= pd.Timestamp(cutoffs.dates[3])]
    place = inside.index[len(inside) // 2]
    name = orders.loc[place, "customer_id"]
    giant = orders.assign(amount=orders["amount"].where(orders.index != place, 77_183.6))
    rows, said = {}, {}
    for key, frame in {"usual": orders, "giant": giant}.items():
        tables = Tables.from_frames(frame, currency="EUR")
        dataset = build_dataset(tables, cutoffs, shop_panel().clock)
        model = ChurnModel(seed=7, rounds=10, threads=1, stand_in="bg_nbd").fit(dataset)
        others = dataset.rows[dataset.rows["customer_id"] != name]
        rows[key] = others[["status", *model.feature_names_]]
        said[key] = model.predict_frame(rows[key])
        tables.close()
    usual, moved = said["usual"], said["giant"]
    np.testing.assert_array_equal(usual["churn_probability"], moved["churn_probability"])
    for money in ("expected_margin", "value_at_risk"):
        assert moved[money].sum() == pytest.approx(usual[money].sum(), rel=0.03)
        by_status = {"usual": usual, "giant": moved}
        sums = [said[money].groupby(rows[key]["status"]).sum() for key, said in by_status.items()]
        pd.testing.assert_series_equal(*sums, rtol=0.06, check_names=False)


@pytest.mark.parametrize("leaves", [1, 32, 63])
def test_more_than_31_leaves_or_fewer_than_2_are_refused(development, leaves):
    with pytest.raises(ConfigError, match=rf"between 2 and 31, got {leaves}\. Pass e.g. 15"):
        ChurnModel(num_leaves=leaves).fit(development)


def test_parameters_without_sense_are_refused_when_fitting(development):
    with pytest.raises(ConfigError, match=r"rounds must be >= 1, got 0\. Pass e.g. 200"):
        ChurnModel(rounds=0).fit(development)
    with pytest.raises(ConfigError, match=r"stand_in must name a baseline, got luck.*'recency'"):
        ChurnModel(stand_in="luck").fit(development)


def test_too_few_of_a_class_are_refused_with_their_number(development):
    lapsed = development.rows["lapse"] == 1
    few = development.rows[~lapsed | (development.rows["status"] != "eligible")]
    retained = len(few[few["status"] == "eligible"])
    with pytest.raises(GateError, match=rf"got 0 lapsed and {retained:,} retained.*longer history"):
        ChurnModel().fit(_with_rows(development, few))


def test_the_seed_decides_and_the_number_of_threads_does_not(development, rows):
    """The same texts, not merely the same scores; another seed learns another model."""
    one, two, other = (
        ChurnModel(seed=seed, rounds=15, threads=threads).fit(development)
        for seed, threads in ((5, 1), (5, 2), (6, 1))
    )
    assert one.heads_ == two.heads_
    assert one.spec() == two.spec()
    pd.testing.assert_frame_equal(
        one.predict_frame(rows), two.predict_frame(rows), check_exact=True
    )
    assert one.heads_["lapse"] != other.heads_["lapse"]


def test_the_model_has_one_text_for_each_head():
    assert tuple(shop_model().heads_) == HEADS
    assert shop_model().clock_.horizon_days == HORIZON_DAYS


def test_every_row_gets_its_answer_in_the_order_of_the_rows(rows, said):
    assert list(said.columns) == list(OUTPUTS)
    assert said.index.equals(rows.index)


def test_probabilities_are_probabilities_and_a_decline_is_never_less_likely_than_a_lapse(said):
    lapse, decline = said["churn_probability"], said["decline_probability"]
    assert lapse.between(0, 1).all()
    assert decline.dropna().between(0, 1).all()
    modelled = said["probability_source"] == "model"
    assert (decline >= lapse)[modelled].all()
    assert decline[~modelled].isna().all()
    amounts = said[["expected_orders", "expected_margin", "value_at_risk"]]
    assert (amounts >= 0).all(axis=None)


def test_value_at_risk_is_the_margin_that_would_be_lost(said):
    """P(lapse) times the margin when retained, whose P(retained) share is expected."""
    lapse = said["churn_probability"]
    retained = said["value_at_risk"] / lapse
    np.testing.assert_allclose(said["expected_margin"], (1 - lapse) * retained, rtol=1e-9)


def test_probabilities_of_both_classes_add_up_and_the_likelier_one_is_predicted(rows, said):
    both = shop_model().predict_proba(rows)
    assert both.shape == (len(rows), 2)
    np.testing.assert_array_equal(both[:, 1], said["churn_probability"])
    np.testing.assert_allclose(both.sum(axis=1), 1.0)
    assert shop_model().predict(rows).tolist() == (both[:, 1] > 0.5).astype(int).tolist()


@settings(max_examples=15)
@given(st.randoms(use_true_random=False), st.integers(5, 90))
def test_neither_the_order_of_the_rows_nor_the_batch_matters(rows, said, shuffler, batch):
    positions = list(range(len(rows)))
    shuffler.shuffle(positions)
    parts = [
        shop_model().predict_frame(rows.iloc[positions[start : start + batch]])
        for start in range(0, len(rows), batch)
    ]
    together = pd.concat(parts).loc[rows.index]
    pd.testing.assert_frame_equal(together, said, rtol=1e-14, atol=0)


def test_no_rows_get_no_answers(rows):
    none = shop_model().predict_frame(rows.head(0))
    assert list(none.columns) == list(OUTPUTS)
    assert none.empty
    assert shop_model().predict_proba(rows.head(0)).shape == (0, 2)
    assert shop_model().predict(rows.head(0)).shape == (0,)


def test_the_order_of_the_columns_does_not_matter(rows, said):
    backwards = rows[rows.columns[::-1]]
    pd.testing.assert_frame_equal(shop_model().predict_frame(backwards), said)


def test_rows_without_a_status_are_taken_as_eligible(rows, said):
    eligible = rows["status"] == "eligible"
    bare = rows[eligible].drop(columns=["customer_id", "cutoff", "status"])
    pd.testing.assert_frame_equal(shop_model().predict_frame(bare), said[eligible])


def test_features_other_than_its_own_are_refused_and_named(rows):
    """Fault 24: a model from another feature set."""
    strange = rows.rename(columns={"recency_days": "recency"})
    with pytest.raises(
        ModelError,
        match=r"missing: \['recency_days'\], unexpected: \['recency'\]\. Build them with the",
    ):
        shop_model().predict_frame(strange)


def test_a_label_that_was_left_among_the_features_is_refused(rows):
    with pytest.raises(ModelError, match=r"missing: \[\], unexpected: \['lapse'\]"):
        shop_model().predict_proba(rows.assign(lapse=1.0))


def test_the_lapsed_get_a_model_of_their_own_and_the_new_the_rate_of_their_group(rows, said):
    """The trees learnt from the eligible alone, so they are silent about all others."""
    source = said["probability_source"]
    assert source[rows["status"] == "eligible"].unique().tolist() == ["model"]
    assert source[rows["status"] == "lapsed"].unique().tolist() == ["win_back"]
    assert source[rows["status"] == "new"].unique().tolist() == ["fallback"]
    new = said["churn_probability"][rows["status"] == "new"]
    assert new.unique().tolist() == [shop_model().fallback_["default"]["lapse"]]


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_stand_in_speaks_through_its_baseline_and_says_so(baseline, rows):
    model = joblib_copy(shop_model()).set_params(stand_in=baseline)
    eligible = rows[rows["status"] == "eligible"]
    said = model.predict_frame(eligible)
    assert said["probability_source"].unique().tolist() == [f"stand_in:{baseline}"]
    spec = shop_model().baselines_[baseline]
    np.testing.assert_array_equal(said["churn_probability"], predict_baseline(spec, eligible))
    assert (said["decline_probability"] >= said["churn_probability"]).all()


def test_a_model_survives_joblib_with_identical_predictions(tmp_path, rows, said):
    joblib.dump(shop_model(), tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    pd.testing.assert_frame_equal(loaded.predict_frame(rows), said, check_exact=True)
    assert loaded.get_params() == shop_model().get_params()


def test_features_beyond_single_precision_cannot_move_a_score(rows, said):
    """The trees see float32, so the last bit of a parallel sum is never seen."""
    names = shop_model().feature_names_
    nudged = rows.copy()
    nudged[names] = rows[names] * (1 + 1e-15)
    eligible = rows["status"] == "eligible"
    pd.testing.assert_frame_equal(
        shop_model().predict_frame(nudged)[eligible], said[eligible], check_exact=True
    )


def joblib_copy(model):
    """A model of its own, so that the shared one stays as it is."""
    copy = ChurnModel()
    copy.__setstate__(model.__getstate__())
    return copy


def _with_rows(dataset, rows):
    return type(dataset)(rows, dataset.cutoffs, dataset.clock, dataset.feature_names)
