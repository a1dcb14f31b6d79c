import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.tables import Tables
from churn.errors import ConfigError, ModelError, StorageError
from churn.features.builder import build_features
from churn.features.clock import FeatureClock
from churn.offers.catalogue import Offers
from churn.offers.effects import assumed_effects
from churn.uplift.average import EffectLine, Estimate
from churn.uplift.learnt import (
    KnownEffect,
    LearntEffects,
    current_effects,
    load_effects,
    measured_effects,
    save_effects,
)
from churn.uplift.study import study


@pytest.fixture(scope="module")
def learnt(studied) -> LearntEffects:
    return LearntEffects.of_study(studied)


@pytest.fixture(scope="module")
def offers(make_offer):
    return [make_offer(name) for name in ("split", "untried", "even")]


def test_each_offer_has_its_own_source_and_the_untried_keeps_its_assumption(learnt, offers, truth):
    rows, risk = truth.data.rows, np.full(len(truth.data), 0.4)
    effects = learnt.of(rows, risk, offers, base_rate=0.4)
    assert effects.source == ("measured", "assumed", "measured")
    assumed = assumed_effects(risk, offers, base_rate=0.4)
    np.testing.assert_array_equal(effects.mean[:, 1], assumed.mean[:, 1])


def test_individual_effects_differ_by_customer_and_average_ones_do_not(learnt, offers, truth):
    risk = np.full(len(truth.data), 0.45)
    effects = learnt.of(truth.data.rows, risk, offers, base_rate=0.45)
    helped = truth.effects[:, 1] > 0
    assert effects.mean[helped, 0].mean() > 0.1
    assert effects.mean[~helped, 0].mean() < -0.1
    assert np.ptp(effects.mean[:, 2]) < 1e-12


@given(st.floats(0, 1))
def test_bounds_are_in_order_and_keep_retention_between_0_and_1(learnt, offers, truth, risk):
    rows = truth.data.rows.head(50)
    effects = learnt.of(rows, np.full(50, risk), offers, base_rate=0.4)
    assert (effects.low <= effects.mean + 1e-12).all()
    assert (effects.mean <= effects.high + 1e-12).all()
    assert (effects.high <= risk + 1e-9).all()
    assert (effects.low >= risk - 1 - 1e-9).all()


def test_too_little_data_corrects_the_assumed_effect_and_does_not_replace_it(
    draw_experiment, quick, make_offer
):
    data = draw_experiment(250, seed=2).data
    found = study(data, quick)
    learnt = LearntEffects.of_study(found)
    offers, risk = [make_offer("even")], np.full(len(data), 0.4)
    effects = learnt.of(data.rows, risk, offers, base_rate=0.4)
    assert effects.source == ("combined",)
    average = found.findings["even"].line.average
    assert min(0.03, average.estimate) < effects.mean[0, 0] < max(0.03, average.estimate)
    assert effects.high[0, 0] - effects.low[0, 0] < average.high - average.low


def test_the_average_effect_of_an_unknown_risk_is_nan(learnt, offers, truth):
    effects = learnt.of(truth.data.rows.head(1), np.array([np.nan]), offers, base_rate=0.4)
    assert np.isnan(effects.mean[0, 2])


def test_rows_without_the_features_are_refused(learnt, offers, truth):
    rows = truth.data.rows.drop(columns="x2")
    with pytest.raises(ModelError, match=r"none of these: \['x2'\]"):
        learnt.of(rows, np.full(len(rows), 0.4), offers, base_rate=0.4)


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


def known_effects():
    effect = KnownEffect("known", "average", LINE, SHIFT)
    return LearntEffects({"known": effect}, ("recency_days", "purchase_days"), 28)


def test_without_an_experiment_there_are_no_measured_effects(snapshot, scores, catalogue):
    other = LearntEffects({}, ("recency_days",), 28)
    assert measured_effects(other, scores, snapshot, catalogue, CLOCK) is None


def test_an_average_effect_needs_no_features(snapshot, scores, catalogue):
    effects = measured_effects(known_effects(), scores, snapshot, catalogue, CLOCK)
    assert effects.source == ("measured", "assumed")
    assert np.isnan(effects.mean[3, 0])
    assert (np.delete(effects.mean[:, 0], 3) > 0).all()


def test_an_individual_effect_is_predicted_from_the_customers_own_features(
    snapshot, scores, catalogue, monkeypatch
):
    """Whatever the order of the scores."""
    monkeypatch.setattr(
        "churn.uplift.learnt.predict_booster",
        lambda _, matrix: 0.001 * matrix[:, 0].astype(float),
    )
    line = replace(LINE, average=Estimate(0.0, 1e-9))
    exact = KnownEffect("known", "individual", line, (-1e-9, 0.0, 1e-9), "trees")
    individual = LearntEffects({"known": exact}, ("recency_days", "purchase_days"), 28)
    effects = measured_effects(individual, scores, snapshot, catalogue, CLOCK)
    built = build_features(
        snapshot.tables, [snapshot.as_of], CLOCK, names=("recency_days", "purchase_days")
    )
    rows = snapshot.tables.engine.collect(built).to_pandas().set_index("customer_id")
    expected = 0.001 * rows.loc[scores["customer_id"].to_pylist(), "recency_days"].to_numpy()
    expected = np.where(np.isnan(scores["churn_probability"].to_numpy()), np.nan, expected)
    np.testing.assert_allclose(effects.mean[:, 0], expected, atol=0.0005)
    assert (
        np.nanmax(effects.mean[:, 0] - expected) - np.nanmin(effects.mean[:, 0] - expected) < 1e-9
    )


@pytest.fixture
def saved(tmp_path, studied):
    effects = LearntEffects.of_study(studied)
    folder = save_effects(effects, tmp_path, effects_id="one", facts={"as_of": "2024-01-01"})
    return effects, folder


def test_loaded_effects_predict_the_same(saved, make_offer, truth):
    effects, folder = saved
    loaded = current_effects(folder.parent)
    offers, risk = [make_offer("split"), make_offer("even")], np.full(len(truth.data), 0.4)
    before, after = (e.of(truth.data.rows, risk, offers, base_rate=0.4) for e in (effects, loaded))
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.low, after.low)


def test_only_text_files_are_written(saved):
    _, folder = saved
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"manifest.json", "trees/split.txt"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["as_of"], manifest["horizon_days"]) == ("2024-01-01", 28)


def test_without_saved_effects_the_current_ones_are_none(tmp_path):
    assert current_effects(tmp_path) is None


def test_an_altered_tree_is_refused_before_it_is_read(saved):
    _, folder = saved
    tree = folder / "trees/split.txt"
    tree.write_text(tree.read_text()[:100])
    with pytest.raises(ModelError, match="was altered"):
        load_effects(folder)


def test_an_incomplete_manifest_or_one_of_another_schema_is_refused(saved):
    _, folder = saved
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(ModelError, match="schema 1, got 99"):
        load_effects(folder)
    path.write_text(json.dumps(manifest | {"offers": {"split": {}}}))
    with pytest.raises(ModelError, match="must have a complete manifest"):
        load_effects(folder)
    path.write_text("{")
    with pytest.raises(ModelError, match="Run `churn effects` again"):
        load_effects(folder)


def test_individual_effects_without_their_trees_are_refused(saved):
    _, folder = saved
    path, tree = folder / "manifest.json", folder / "trees/split.txt"
    tree.unlink()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {}}))
    with pytest.raises(ModelError, match="must have a complete manifest"):
        load_effects(folder)


def test_saving_never_overwrites_and_never_leaves_the_folder(saved):
    effects, folder = saved
    with pytest.raises(StorageError, match="must not exist yet"):
        save_effects(effects, folder.parent, effects_id="one", facts={})
    with pytest.raises(ConfigError, match="effects_id must be"):
        save_effects(effects, folder.parent, effects_id="../two", facts={})


def test_a_pointer_out_of_the_folder_is_refused(saved):
    _, folder = saved
    (folder.parent / "current").write_text("../elsewhere\n")
    with pytest.raises(ModelError, match="must name learnt effects"):
        current_effects(folder.parent)


KEY, OTHER = "k" * 32, "o" * 32


def test_signed_effects_load_with_their_key_and_without_one(studied, tmp_path):
    effects = LearntEffects.of_study(studied)
    folder = save_effects(effects, tmp_path, effects_id="one", facts={"f": 0.1}, signing_key=KEY)
    assert current_effects(tmp_path, signing_key=KEY).by_offer.keys() == effects.by_offer.keys()
    assert load_effects(folder).by_offer.keys() == effects.by_offer.keys()
    with pytest.raises(
        ModelError, match=r"learnt effects 'one' must be signed with the current key"
    ):
        load_effects(folder, signing_key=OTHER)


def test_an_altered_manifest_is_refused_although_its_hashes_match(studied, tmp_path):
    """Fault 26."""
    effects = LearntEffects.of_study(studied)
    folder = save_effects(effects, tmp_path, effects_id="one", facts={}, signing_key=KEY)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for offer in manifest["offers"].values():
        offer["average"] = 2.0
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="got another signature") as refused:
        current_effects(tmp_path, signing_key=KEY)
    assert refused.value.exit_code == 5


def test_unsigned_effects_are_refused_if_a_key_is_set(saved):
    _, folder = saved
    with pytest.raises(ModelError, match=r"got no signature\. Run `churn effects` again with the"):
        current_effects(folder.parent, signing_key=KEY)
