"""A training evaluates, writes, records and promotes; failures leave the champion unchanged."""

import json
import tempfile
import warnings
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from simulated_shop import (
    CUTOFFS,
    FIRST_DAY,
    MEMORYLESS_AS_OF,
    copied_shop,
    first_training,
    open_shop,
    simulated_orders,
    stand_in_trainings,
    trained_shop,
)

from churn.commands.score import score
from churn.commands.train import train
from churn.errors import ConfigError, GateError, ModelError, StorageError
from churn.modeling.bundle import load_bundle
from churn.modeling.manifest import read_manifest
from churn.storage.ledger import Ledger


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="module")
def trained(base):
    return first_training(base / "trained-shop")


@pytest.fixture(scope="module")
def stand_in(base):
    return stand_in_trainings(base / "stand-in-shop")


def champion_of(config, models="models"):
    return (config.parent / models / "champion").read_text().strip()


def bundles_of(config, models="models"):
    return {path.name for path in (config.parent / models).iterdir() if path.is_dir()}


def test_a_model_that_beats_the_baselines_becomes_the_champion(trained):
    config, result = trained
    assert result.exit_code == 0
    assert result.gate["promoted"] is True
    assert result.gate["stand_in"] is None
    assert champion_of(config) == result.model_id
    assert load_bundle(config.parent / "models" / "champion").stand_in is None


def test_the_manifest_describes_the_training(trained):
    config, result = trained
    manifest = read_manifest(config.parent / "models" / result.model_id)
    assert manifest["as_of"] == str(result.as_of)
    assert manifest["run_id"] == result.run_id
    assert manifest["gate"] == dict(result.gate)
    assert manifest["evaluation"].items() <= dict(result.metrics).items()
    assert manifest["judgement"]["calibration_error"] > 0
    assert manifest["label"]["horizon_days"] == manifest["clock"]["horizon_days"] == 28
    assert len(manifest["cutoffs"]["dates"]) == CUTOFFS
    assert manifest["data"]["currency"] == "EUR"
    assert manifest["data"]["orders"] == len(simulated_orders())


def test_the_card_states_what_is_predicted_and_how_well(trained):
    config, result = trained
    card = (config.parent / "models" / result.model_id / "card.md").read_text()
    for part in (
        f"# Model {result.model_id}",
        "28 days from the cutoff",
        "Money is in EUR",
        *result.metrics["cutoffs"],
        "| active_windows |",
        "Verdict: the model beats the best baseline",
        "![Gain and lift of the model and two baselines](report/gain.svg)",
        "| decline: eligible |",
        "| all pooled cutoffs |",
        "## Backtest of the decision",
    ):
        assert part in card
    assert "Stand-in" not in card


def test_the_report_is_part_of_the_bundle_and_hashed(trained):
    config, result = trained
    bundle = config.parent / "models" / result.model_id
    written = {f"report/{path.name}" for path in (bundle / "report").iterdir()}
    assert {"report/judgement.json", "report/gain.svg", "report/backtest.svg"} <= written
    assert written <= set(read_manifest(bundle)["files"])
    reported = json.loads((bundle / "report" / "judgement.json").read_text())
    assert reported["evaluation"] == read_manifest(bundle)["evaluation"]
    assert reported["backtest"] == result.metrics["judgement"]["backtest"]
    (bundle / "report" / "gain.svg").rename(bundle / "gain.svg")
    with pytest.raises(ModelError, match=r"'report/gain.svg' is missing"):
        load_bundle(bundle)
    (bundle / "gain.svg").rename(bundle / "report" / "gain.svg")


def test_the_run_is_on_record_with_the_model_that_it_made(trained):
    config, result = trained
    with Ledger(config.parent / "ledger.db") as ledger:
        (run,) = ledger.runs("train")
    assert (run.run_id, run.status, run.model_id) == (result.run_id, "done", result.model_id)


def test_the_registry_calls_the_promoted_version_champion(trained):
    """In a new store next to the configuration."""
    config, result = trained
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow

        uri = f"sqlite:///{config.parent / 'mlflow.db'}"
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        version = client.get_model_version_by_alias("churn", "champion")
        run = client.get_run(version.run_id)
        artifacts = {item.path for item in client.list_artifacts(version.run_id, "bundle")}
    assert run.data.tags["model_id"] == result.model_id
    assert run.data.params["as_of"] == str(result.as_of)
    assert {"model_roc_auc", "model_log_loss", "bg_nbd_roc_auc"} <= set(run.data.metrics)
    assert {"decline_roc_auc", "calibration_floor_95"} <= set(run.data.metrics)
    assert {"bundle/manifest.json", "bundle/heads"} <= artifacts
    assert result.warnings == ()


def test_the_registered_model_scores_like_the_champion(trained, tmp_path, monkeypatch):
    config, _ = trained
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    by_alias = score(config, out=tmp_path / "a.parquet", model="models:/churn@champion")
    by_number = score(config, out=tmp_path / "n.parquet", model="models:/churn/1")
    by_pointer = score(config, out=tmp_path / "p.parquet")
    assert not [*tmp_path.glob("*-churn")], "the fetched copies are gone"
    assert by_alias.model_id == by_number.model_id == by_pointer.model_id
    frames = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in "anp"]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(
            frame.drop(columns="run_id"), frames[0].drop(columns="run_id"), check_exact=True
        )


def test_a_model_missing_in_the_registry_is_named(trained, tmp_path):
    with pytest.raises(StorageError, match=r"MLflow at .* must answer, got .*nobody"):
        score(trained[0], out=tmp_path / "s.parquet", model="models:/churn@nobody")
    assert not (tmp_path / "s.parquet").exists()


def test_what_was_resolved_and_counted_is_in_the_result(trained):
    _, result = trained
    reported = result.to_dict()
    assert reported["resolved"]["horizon_days"] == 28
    assert len(reported["resolved"]["cutoffs"]) == CUTOFFS
    assert reported["rows"]["panel"] >= reported["rows"]["eligible"] > 0
    assert json.loads(json.dumps(reported, allow_nan=False)) == reported


def test_if_no_model_wins_the_best_baseline_becomes_the_fallback_model(stand_in, tmp_path):
    """In the gate, the manifest, the card, and every scoring."""
    config, first, _ = stand_in
    name = first.gate["stand_in"]
    assert first.exit_code == 0
    assert first.gate["promoted"] is True
    reported = f"the model was rejected, and the baseline {name} was promoted as fallback model"
    assert first.gate["reasons"][-1].startswith(reported)
    bundle = config.parent / "bundles" / first.model_id
    assert read_manifest(bundle)["gate"]["stand_in"] == name
    assert read_manifest(bundle)["parameters"]["stand_in"] == name
    assert f"**Fallback model: the baseline `{name}` is active" in (bundle / "card.md").read_text()
    champion = str(config.parent / "bundles" / "champion")
    out = tmp_path / "s.parquet"
    scored = score(config, out=out, as_of=MEMORYLESS_AS_OF, model=champion)
    assert f"the baseline {name} is used as fallback model" in scored.warnings
    sources = pd.read_parquet(out)["probability_source"]
    assert f"stand_in:{name}" in set(sources)


def test_a_fallback_model_is_refreshed_until_a_model_wins(stand_in):
    """A baseline fitted on newer labels replaces the older one."""
    config, first, second = stand_in
    assert second.exit_code == 0
    assert second.gate["promoted"] is True
    assert second.gate["stand_in"] in second.gate["reasons"][-1]
    assert {check["name"] for check in second.gate["checks"]} >= {"rules", "champion", "leaks"}
    assert champion_of(config, "bundles") == second.model_id
    assert bundles_of(config, "bundles") == {first.model_id, second.model_id}
    assert load_bundle(config.parent / "bundles" / "champion").stand_in == second.gate["stand_in"]


def test_without_mlflow_the_bundle_is_promoted_with_a_warning(stand_in):
    """Fault 31."""
    _, first, second = stand_in
    for result in (first, second):
        (warning,) = (text for text in result.warnings if "MLflow" in text)
        assert "not recorded in MLflow: MLflow at http://127.0.0.1:9 must answer" in warning
        assert warning.endswith("the bundle is saved.")


def test_models_can_be_written_to_another_folder(stand_in):
    config, first, second = stand_in
    assert not (config.parent / "models").exists()
    assert bundles_of(config, "bundles") == {first.model_id, second.model_id}


def test_too_short_a_history_is_refused_before_anything_is_built(tmp_path):
    config = open_shop(tmp_path / "shop", simulated_orders(20, days=15, memoryless=True))
    with pytest.raises(GateError, match=r"at least 21 days of orders, got 1\d"):
        train(config)


def test_a_short_history_gets_a_model_that_says_so_and_replaces_no_fully_judged_one(
    trained, tmp_path
):
    config = copied_shop(trained[0], tmp_path / "shop")
    weeks = str(FIRST_DAY + timedelta(days=92))
    kept = train(config, as_of=weeks)
    assert (kept.exit_code, kept.gate["promoted"], kept.gate["judged"]) == (
        4,
        False,
        "provisionally",
    )
    assert f"the champion {trained[1].model_id} passed the full gate" in kept.gate["reasons"][0]
    assert champion_of(config) == trained[1].model_id
    first = train(config, as_of=weeks, models=tmp_path / "shop" / "young")
    assert (first.exit_code, first.gate["promoted"]) == (0, True)
    assert [table.title for table in first.tables][1].endswith("time not tested")
    manifest = read_manifest(config.parent / "young" / "champion")
    assert (manifest["gate"]["judged"], manifest["gate"]["open"]) == ("provisionally", True)
    assert manifest["apart"]["difference"] == first.metrics["apart"]["difference"]
    scored = score(
        config,
        as_of=weeks,
        out=tmp_path / "s.parquet",
        model=str(config.parent / "young" / "champion"),
    )
    assert any("judged provisionally" in note for note in scored.warnings)


@pytest.mark.parametrize("as_of", ["yesterday", "2024-13-01", "2024-02-30", ""])
def test_an_invalid_date_is_rejected(as_of, base):
    with pytest.raises(ConfigError, match=r"as_of must be"):
        train(trained_shop(base), as_of=as_of)


def test_the_registered_model_has_a_signature_and_rejects_incomplete_rows(trained):
    """MLflow drops a column that is not in the signature, with a warning that names it."""
    import mlflow

    config, result = trained
    bundle = load_bundle(config.parent / "models" / result.model_id)
    rows = pd.read_parquet(config.parent / "models" / result.model_id / "canaries.parquet")
    rows = rows[["status", *bundle.feature_names_]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(f"sqlite:///{config.parent / 'mlflow.db'}")
        registered = mlflow.pyfunc.load_model("models:/churn@champion")
        pd.testing.assert_frame_equal(registered.predict(rows), bundle.predict_frame(rows))
        with pytest.raises(ModelError, match=r"unexpected: \['lapse'\]"):
            bundle.predict_frame(rows.assign(lapse=1.0))
        pd.testing.assert_frame_equal(
            registered.predict(rows.assign(lapse=1.0)), bundle.predict_frame(rows)
        )
        for asked, wrong in (
            (rows.drop(columns="net_spend"), r"missing inputs \['net_spend'\]"),
            (rows.assign(net_spend="much"), "types for column net_spend"),
            (rows.assign(net_spend=np.inf), "must be finite or missing"),
        ):
            with pytest.raises(ModelError):
                bundle.predict_frame(asked)
            with pytest.raises(Exception, match=wrong):
                registered.predict(asked)
    inputs = registered.metadata.signature.inputs
    assert inputs.required_input_names() == bundle.feature_names_
    assert inputs.optional_input_names() == ["customer_id", "status"]
    assert registered.metadata.metadata["features"] == bundle.feature_names_
