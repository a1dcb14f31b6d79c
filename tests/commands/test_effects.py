"""`churn effects` on a simulated shop: its result, its files, and its result without data."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.commands.effects import NO_CONTACTS, NOT_RANDOMISED, effects, known_effects
from churn.commands.plan import plan
from churn.commands.session import open_session
from churn.commands.simulate import simulate
from churn.errors import ModelError
from churn.storage.manifests import publish_with_manifest
from churn.uplift.learnt import current_effects

CATALOGUE = """
[campaign]
id = "spring"
"""
OFFER = """
[[offers]]
offer_id = "{name}"
name = "{name}"
kind = "other"
channel = "email"
margin_cost = 0.0
contact_cost = 0.1
redemption_rate = 0.0
effect = 0.02
effect_low = 0.0
effect_high = 0.04
cooldown_days = 14
expires_after_days = 14
"""
MORE = """
[churn]
horizon_days = {horizon}
lookback_days = 56
[features]
families = ["acquisition", "loyalty"]
"""


def shop(folder: Path, *, customers: int, campaigns: int = 3, horizon: int = 28) -> Path:
    simulate(folder, customers=customers, seed=3, lines=False, campaigns=campaigns)
    config = folder / "churn.toml"
    config.write_text(config.read_text() + MORE.format(horizon=horizon))
    names = ("discount", "untried")
    (folder / "offers.toml").write_text(CATALOGUE + "".join(OFFER.format(name=n) for n in names))
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = shop(tmp_path_factory.mktemp("effects") / "shop", customers=5_000)
    return config, effects(config)


def test_every_offer_has_a_verdict_and_an_untested_one_keeps_its_assumption(run):
    _, result = run
    reported = result.metrics["offers"]
    assert set(reported) == {"discount", "points", "reminder", "untried"}
    assert reported["discount"]["average"]["low"] > 0.05
    assert reported["discount"]["verdict"] in ("individual", "average")
    assert reported["untried"] == {
        "verdict": "assumed",
        "stated": {"estimate": 0.02, "low": 0.0, "high": 0.04},
    }


def test_contacts_without_randomisation_are_counted_as_observational(run):
    _, result = run
    (offer,) = result.metrics["observational"]
    assert offer == "discount"
    assert any("contacts are not randomised and therefore not used" in w for w in result.warnings)


def test_the_result_is_shown_as_tables(run):
    _, result = run
    titles = [title for title, _, _ in result.tables]
    assert titles[0].startswith("Effect on retention by offer")
    first = {row[0]: row for row in result.tables[0][2]}
    assert first["untried"][4:] == ("+2.0 (+0.0 to +4.0)", "assumed", "", "")
    assert "±" in first["discount"][4]
    assert {row[0] for row in result.tables[1][2]} == {"discount", "points", "reminder"}


def test_estimated_effects_are_saved_and_loaded_again(run):
    config, result = run
    directory = config.parent / "models/effects"
    found = current_effects(directory)
    assert set(found.by_offer) == {"discount", "points", "reminder"}
    assert found.horizon_days == 28
    (path,) = result.files
    reported = json.loads(path.read_text())
    assert reported["findings"]["discount"]["verdict"] == found.by_offer["discount"].verdict


def test_the_result_is_plain_json(run):
    _, result = run
    reported = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert reported["rows"]["contacts_by_lot"] > 1_000


def test_effects_of_another_horizon_are_not_used(run):
    config, _ = run
    with open_session("plan", config, as_of=None, progress=lambda _: None) as session:
        assert known_effects(session).horizon_days == 28
        longer = replace(session.settings.churn, horizon_days=56, lookback_days=112)
        session.settings = replace(session.settings, churn=longer)
        with pytest.raises(ModelError, match="Run `churn effects` again"):
            known_effects(session)


def test_without_contacts_everything_is_assumed(tmp_path):
    config = shop(tmp_path / "shop", customers=100, campaigns=0)
    result = effects(config)
    assert result.warnings == (NO_CONTACTS,)
    assert {one["verdict"] for one in result.metrics["offers"].values()} == {"assumed"}
    assert not (tmp_path / "shop/models/effects").exists()


def test_without_randomisation_nothing_is_measured(tmp_path):
    config = shop(tmp_path / "shop", customers=300)
    path = tmp_path / "shop/contacts.parquet"
    contacts = pd.read_parquet(path)
    contacts.assign(propensity=float("nan")).to_parquet(path)
    result = effects(config)
    assert NOT_RANDOMISED in result.warnings
    assert {one["verdict"] for one in result.metrics["offers"].values()} == {"assumed"}


def test_few_customers_are_too_small_to_tell(tmp_path):
    config = shop(tmp_path / "shop", customers=500)
    reported = effects(config).metrics["offers"]
    verdicts = {reported[name]["verdict"] for name in ("discount", "points", "reminder")}
    assert verdicts == {"too small to tell"}
    with open_session("plan", config, as_of=None, progress=lambda _: None) as session:
        assert all(one.source == "combined" for one in known_effects(session).by_offer.values())


def test_a_plan_uses_measured_effects_and_assumes_the_others(run, tmp_path):
    config, result = run
    ids = pd.read_parquet(config.parent / "customers.parquet")["customer_id"].sort_values()
    scores = pa.table(
        {
            "customer_id": ids.tolist(),
            "as_of": [result.as_of] * len(ids),
            "status": ["eligible"] * len(ids),
            "churn_probability": [0.3] * len(ids),
            "value_at_risk": [3.0] * len(ids),
            "currency": ["EUR"] * len(ids),
        }
    )
    with publish_with_manifest(tmp_path / "scores.parquet", {}) as temporary:
        pq.write_table(scores, temporary)
    files = {"out": tmp_path / "plan.parquet", "scores": tmp_path / "scores.parquet"}
    made = plan(config, **files, budget=1e6)
    frame = pd.read_parquet(tmp_path / "plan.parquet")
    sources = frame.dropna(subset=["effect_source"]).groupby("offer_id")["effect_source"].unique()
    assert sources["discount"].tolist() == ["measured"]
    assert set(made.metrics["effect_sources"]) <= {"assumed", "measured"}
    chosen = frame[frame["offer_id"] == "discount"]
    assert (chosen["effect_low"] <= chosen["effect"]).all()
    assert (chosen["expected_value"] > 0).all()
