"""Models are listed and promoted; a rejected promotion states the reason."""

import json

import pandas as pd
import pytest
from kept_models import crown, facts, keep_model, shop_with_models
from simulated_shop import NO_SERVER

from churn.commands.models import list_models, promote, rollback
from churn.commands.score import score
from churn.errors import ConfigError, GateError, ModelError
from churn.storage.ledger import Ledger

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def shop(tmp_path):
    return shop_with_models(tmp_path / "shop", "m-1", "m-2", "m-3")


def champion_of(config):
    return (config.parent / "models" / "champion").read_text().strip()


def marks(config):
    return {one["model_id"]: one["mark"] for one in list_models(config).resolved["models"]}


def history(config):
    with Ledger(config.parent / "ledger.db") as ledger:
        return [(m.model_id, m.previous, m.cause, m.reason) for m in ledger.promotions("models")]


def test_the_newest_model_is_listed_first_with_its_metrics(shop):
    listed = list_models(shop).resolved["models"]
    assert [one["model_id"] for one in listed] == ["m-3", "m-2", "m-1"]
    judged = facts()["evaluation"]["judged"]
    (model,) = [j for j in judged if (j["group"], j["predictor"]) == ("eligible", "model")]
    rules = [
        j["log_loss"] for j in judged if j["group"] == "eligible" and j["predictor"] != "model"
    ]
    assert listed[0]["roc_auc"] == model["roc_auc"]
    assert listed[0]["best_rule_log_loss"] == min(rules)
    assert listed[0]["gate_open"] is True
    assert listed[0]["signed"] is False
    assert json.loads(json.dumps(listed, allow_nan=False)) == listed


def test_without_models_the_next_step_is_suggested(tmp_path):
    result = list_models(shop_with_models(tmp_path / "shop"))
    assert result.rows == {"models": 0}
    assert result.warnings == ("no models yet: `churn train` creates one",)


def test_a_damaged_model_is_reported_and_the_others_are_listed(shop):
    head = shop.parent / "models" / "m-2" / "heads" / "lapse.txt"
    head.write_text(head.read_text()[:100])
    result = list_models(shop)
    assert [one["model_id"] for one in result.resolved["models"]] == ["m-3", "m-1"]
    (warning,) = result.warnings
    assert warning.startswith("m-2 cannot be used: ")
    assert "'heads/lapse.txt' was altered" in warning


def test_a_champion_that_does_not_exist_is_reported(shop):
    pointer = shop.parent / "models" / "champion"
    pointer.write_text("m-9\n")
    (warning,) = list_models(shop).warnings
    assert warning.startswith("the champion 'm-9' does not exist in 'models'")


def test_a_champion_without_a_manifest_is_not_called_no_models(tmp_path):
    shop = shop_with_models(tmp_path / "shop", "m-1")
    crown(shop, "m-1")
    (shop.parent / "models" / "m-1" / "manifest.json").unlink()
    (warning,) = list_models(shop).warnings
    assert "'m-1' does not exist" in warning


def test_a_linked_folder_is_no_model(shop, tmp_path):
    """Fault 30."""
    keep_model(tmp_path / "elsewhere", "m-9")
    (shop.parent / "models" / "m-9").symlink_to(tmp_path / "elsewhere" / "m-9")
    assert "m-9" not in marks(shop)
    with pytest.raises(ModelError, match="'m-9' must not be a symbolic link"):
        promote(shop, "m-9")
    assert not (shop.parent / "models" / "champion").exists()


@pytest.mark.parametrize("name", ["../../etc", "a/b", "a:b", "a\0b", "", "M-1", "m" * 65])
def test_a_bad_name_is_refused(shop, name):
    """Fault 29."""
    with pytest.raises(ConfigError, match="model must be 1 to 64 of a-z"):
        promote(shop, name)


def test_a_missing_model_is_named(shop):
    with pytest.raises(ModelError, match=r"no model 'm-7' in 'models'\. `churn models` lists"):
        promote(shop, "m-7")


def test_an_unambiguous_prefix_promotes_its_model(tmp_path):
    shop = shop_with_models(tmp_path / "shop", "spring-1", "summer-1", "summer-12")
    assert promote(shop, "sp").model_id == "spring-1"
    assert champion_of(shop) == "spring-1"
    assert promote(shop, "summer-1").model_id == "summer-1", "a whole name means itself"


def test_an_ambiguous_prefix_is_rejected_with_all_matches(shop):
    with pytest.raises(ConfigError, match="unambiguous prefix: 'm-', got m-1, m-2, m-3"):
        promote(shop, "m-")


def test_an_optional_reason_is_recorded(shop):
    promote(shop, "m-2", reason="the newest")
    assert [move[-1] for move in history(shop)] == ["the newest"]


@pytest.fixture
def refused(shop):
    """A model that failed the gate."""
    keep_model(shop.parent / "models", "m-bad", minute=9, gate_open=False)
    return shop


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_force_without_a_reason_is_refused(refused, reason):
    with pytest.raises(ConfigError, match="--force requires a reason"):
        promote(refused, "m-bad", force=True, reason=reason)


def test_a_fallback_model_did_not_pass_the_gate(shop):
    gate = {"promoted": True, "stand_in": "recency", "reasons": ["a rule stands in"]}
    keep_model(shop.parent / "models", "m-rule", minute=9, gate=gate)
    with pytest.raises(GateError, match="got a rule stands in"):
        promote(shop, "m-rule")


def test_a_damaged_model_is_not_promoted_even_by_force(shop):
    (shop.parent / "models" / "m-2" / "calibration.json").write_text("{}")
    with pytest.raises(ModelError, match=r"'calibration\.json' was altered"):
        promote(shop, "m-2", force=True, reason="please")
    assert not (shop.parent / "models" / "champion").exists()


def test_a_model_with_other_canary_scores_is_not_promoted(shop, monkeypatch):
    """A valid hash does not prove that the trees return the same predictions."""
    from churn.modeling import bundle

    monkeypatch.setattr(bundle, "CANARY_SECONDS", 0.01)
    with pytest.raises(ModelError, match=r"got no result within 0\.01 s"):
        promote(shop, "m-2")
    assert not (shop.parent / "models" / "champion").exists()


def test_a_model_that_contradicts_the_settings_is_not_promoted(shop):
    shop.write_text(shop.read_text().replace('currency = "EUR"', 'currency = "USD"'))
    with pytest.raises(
        ConfigError, match=r"\[data\] currency must be '.*', as in the training of the model"
    ):
        promote(shop, "m-2")


def test_the_status_is_champion_former_or_challenger(shop):
    assert marks(shop) == {"m-1": None, "m-2": None, "m-3": "challenger"}
    crown(shop, "m-1")
    assert marks(shop) == {"m-1": "champion", "m-2": None, "m-3": "challenger"}
    crown(shop, "m-3")
    assert marks(shop) == {"m-1": "former", "m-2": None, "m-3": "champion"}


def test_promoting_the_champion_again_is_refused(shop):
    crown(shop, "m-2")
    with pytest.raises(ConfigError, match="'m-2' must not be the champion already"):
        promote(shop, "m-2")


def test_a_model_that_failed_the_gate_is_not_promoted(refused):
    crown(refused, "m-1")
    with pytest.raises(
        GateError, match=r"'m-bad' must have passed the gate, got it beats nobody\. .*--force"
    ):
        promote(refused, "m-bad")
    assert champion_of(refused) == "m-1"
    assert len(history(refused)) == 1


def test_a_promotion_a_forced_one_and_a_rollback_are_each_on_record(refused):
    """One test of several steps, because each checks the canaries in a separate process."""
    first = promote(refused, "m-2")
    assert champion_of(refused) == first.model_id == "m-2"
    (warning,) = first.warnings
    assert warning.startswith(
        f"MLflow's aliases were not updated: MLflow at {NO_SERVER} must answer"
    )
    promote(refused, "m-bad", force=True, reason="new assortment")
    assert champion_of(refused) == "m-bad"
    assert rollback(refused, reason="complaints").model_id == "m-2" == champion_of(refused)
    moves = [
        ("m-2", None, "promotion", None),
        ("m-bad", "m-2", "promotion", "new assortment"),
        ("m-2", "m-bad", "rollback", "complaints"),
    ]
    assert history(refused) == moves
    listed = list_models(refused).resolved["promotions"]
    assert [(m["model_id"], m["previous"], m["cause"], m["reason"]) for m in listed] == moves
    with Ledger(refused.parent / "ledger.db") as ledger:
        (run,) = ledger.runs("models rollback")
    assert (run.status, run.model_id, run.facts["reason"]) == ("done", "m-2", "complaints")


def test_a_rollback_without_a_champion_before_is_refused(shop):
    crown(shop, "m-1")
    with pytest.raises(
        ModelError, match=r"requires a previous champion.*`churn models promote ID`"
    ):
        rollback(shop)
    assert champion_of(shop) == "m-1"


def test_a_rollback_to_a_model_that_is_gone_is_refused(shop):
    crown(shop, "m-1")
    crown(shop, "m-2")
    (shop.parent / "models" / "m-1").rename(shop.parent / "m-1")
    with pytest.raises(ModelError, match="there is no model 'm-1'"):
        rollback(shop)
    assert champion_of(shop) == "m-2"


def test_a_model_of_unknown_features_is_not_promoted(shop):
    """Fault 24."""
    path = shop.parent / "models" / "m-2" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["features"][0]["name"] = "mood_of_the_day"
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"must be defined, got unknown \['mood_of_the_day'\]"):
        promote(shop, "m-2")


def test_an_unsigned_model_is_not_promoted_where_there_is_a_key(shop, monkeypatch):
    """Fault 26."""
    monkeypatch.setenv("CHURN_SIGNING_KEY", KEY)
    with pytest.raises(ModelError, match="'m-1' must be signed, got no signature"):
        promote(shop, "m-1")
    keep_model(shop.parent / "models", "m-signed", minute=9, signing_key=KEY)
    result = list_models(shop)
    assert [one["model_id"] for one in result.resolved["models"]] == ["m-signed"]
    assert result.resolved["models"][0]["signed"] is True
    assert len(result.warnings) == 3


def test_scoring_during_a_promotion_uses_one_model(shop, tmp_path):
    """Fault 36: the pointer moves after the model was loaded."""
    crown(shop, "m-1")

    def swap(step):
        if step == "scoring":
            crown(shop, "m-2")

    result = score(shop, out=tmp_path / "s.parquet", as_of="2023-12-01", progress=swap)
    assert champion_of(shop) == "m-2"
    assert result.model_id == "m-1"
    assert set(pd.read_parquet(tmp_path / "s.parquet")["model_id"]) == {"m-1"}
