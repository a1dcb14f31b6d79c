"""What the gate refuses: with the reason, exit code 4, the champion where it was, a bundle all
the same.
"""

import json

import pandas as pd
import pytest
from simulated_shop import (
    AS_OF,
    MEMORYLESS_AS_OF,
    copied_shop,
    first_training,
    open_shop,
    simulated_orders,
    trained_shop,
)

from churn.cli.terminal import show
from churn.commands.score import score
from churn.commands.summaries.judgements import gate_table
from churn.commands.train import train
from churn.features import plugins
from churn.features.catalogue import CATALOGUE
from churn.modeling.bundle import load_bundle
from churn.modeling.gate import Check, Gate
from churn.modeling.manifest import read_manifest
from churn.storage.ledger import Ledger

CRYSTAL_BALL = '''
"""A feature that looks into the file of orders by itself."""

from pathlib import Path

import numpy as np
import pandas as pd

import churn

ORDERS = pd.read_parquet(Path(__file__).with_name("orders.parquet"))
DAY = (ORDERS["ordered_at"] - pd.Timestamp("1970-01-01")).dt.days
CUTOFFS = [{newest} - 14 * step for step in range(8)]


@churn.feature(family="ours", unit="", over="row")
def crystal_ball(row, clock):
    """1 if the customer orders on the cutoff's own day."""
    who = ORDERS.loc[row["cutoff"] == DAY, "customer_id"].unique().tolist()
    there = np.isin(row["customer_id"], who) & np.isin(row["cutoff"], CUTOFFS)
    return there.astype(float)
'''


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def own_catalogue():
    """Restores the catalogue after the test."""
    before, loaded = dict(CATALOGUE), set(plugins._LOADED)
    yield
    CATALOGUE.clear()
    CATALOGUE.update(before)
    plugins._LOADED.clear()
    plugins._LOADED.update(loaded)


def champion_of(config):
    return (config.parent / "models" / "champion").read_text().strip()


def assert_refused(config, result, champion):
    assert result.exit_code == 4
    assert result.gate["promoted"] is False
    assert result.gate["stand_in"] is None
    assert result.gate["reasons"][-1] == "the champion stays"
    assert champion_of(config) == champion
    bundle = config.parent / "models" / result.model_id
    assert read_manifest(bundle)["gate"] == dict(result.gate)
    assert load_bundle(bundle).stand_in is None
    with Ledger(config.parent / "ledger.db") as ledger:
        assert ledger.runs("train")[-1].facts["promoted"] is False


def test_a_passed_gate_lists_its_checks_and_figures(base, capsys):
    _, result = first_training(base / "trained-shop")
    checks = {check["name"]: check for check in result.gate["checks"]}
    assert [*checks] == ["rules", "slices", "leaks"]
    assert all(check["passed"] for check in checks.values())
    assert checks["rules"]["figures"]["high"] < 0
    assert checks["rules"]["figures"]["cutoffs"] == 2
    show(result, quiet=False)
    shown = capsys.readouterr().err
    assert "beats the baselines" in shown
    assert "no leakage" in shown


def test_a_model_of_uninformative_data_is_rejected_and_the_champion_stays(base, tmp_path):
    """The equivalent of shuffled labels: everyone buys at random."""
    config = copied_shop(trained_shop(base), tmp_path / "shop")
    champion = champion_of(config)
    simulated_orders(150, days=300, memoryless=True).to_parquet(config.with_name("orders.parquet"))
    result = train(config, as_of=MEMORYLESS_AS_OF)
    assert_refused(config, result, champion)
    assert "does not beat the best baseline" in result.gate["reasons"][0]
    assert {check["name"] for check in result.gate["checks"]} >= {"rules", "champion"}


def test_a_champion_of_another_release_is_replaced_with_a_note(base, tmp_path):
    """The current release cannot load it, so a baseline is better than no scores."""
    config = copied_shop(trained_shop(base), tmp_path / "shop")
    champion = champion_of(config)
    manifest = config.parent / "models" / champion / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema": 1}))
    simulated_orders(150, days=300, memoryless=True).to_parquet(config.with_name("orders.parquet"))
    result = train(config, as_of=MEMORYLESS_AS_OF)
    assert (
        f"not compared with the champion: {champion} was written by another release"
        in result.warnings
    )
    assert champion_of(config) == result.model_id != champion
    assert result.gate["stand_in"] is not None
    assert result.exit_code == 0


def test_a_leaking_user_feature_is_rejected_by_name(base, tmp_path, own_catalogue):
    """Even if the model is far better with it, and the champion can no longer be read."""
    config = copied_shop(trained_shop(base), tmp_path / "shop")
    champion = champion_of(config)
    (config.parent / "models" / champion / "card.md").write_text("edited")
    newest = (AS_OF - type(AS_OF)(1970, 1, 1)).days - 28
    config.with_name("ours.py").write_text(CRYSTAL_BALL.format(newest=newest))
    config.write_text(config.read_text() + '\n[features]\nmodule = "ours.py"\n')
    result = train(config)
    assert_refused(config, result, champion)
    unread, leaks = (check for check in result.gate["checks"] if not check["passed"])
    assert [*leaks["figures"]] == ["crystal_ball"]
    assert leaks["figures"]["crystal_ball"]["days"] == 1
    assert result.gate["reasons"][1].startswith(
        "the feature 'crystal_ball' sees the cutoff's own day: its correlation with a purchase"
    )
    assert unread["name"] == "champion"
    assert unread["reason"].startswith(f"the champion {champion} cannot be read (")
    assert "churn models rollback" in unread["reason"]


def test_if_a_user_feature_leaks_without_a_champion_the_fallback_uses_orders_alone(
    base, tmp_path, own_catalogue
):
    """The exit code is 4 in any case, and the rejected model is kept."""
    config = open_shop(tmp_path / "shop", simulated_orders(300))
    newest = (AS_OF - type(AS_OF)(1970, 1, 1)).days - 28
    config.with_name("ours.py").write_text(CRYSTAL_BALL.format(newest=newest))
    config.write_text(config.read_text() + '\n[features]\nmodule = "ours.py"\n')
    result = train(config)
    assert result.exit_code == 4
    assert (result.gate["open"], result.gate["promoted"]) == (False, True)
    assert champion_of(config) == result.model_id
    models = config.parent / "models"
    speaking, refused = (load_bundle(models / f"{result.model_id}{s}") for s in ("", "-refused"))
    assert speaking.stand_in == result.gate["stand_in"]
    assert "crystal_ball" not in speaking.feature_names_
    assert (refused.stand_in, "crystal_ball" in refused.feature_names_) == (None, True)
    assert any(f"promote {result.model_id}-refused --force" in one for one in result.warnings)
    scored = score(config, out=tmp_path / "s.csv", explain="none")
    assert f"the baseline {speaking.stand_in} is used as fallback model" in scored.warnings
    numbers = pd.read_csv(tmp_path / "s.csv")["churn_probability"].map(repr)
    assert numbers.str.len().max() <= 12


def test_an_unreadable_champion_fails_the_gate_without_a_fallback():
    """However good the model is, because it may be worse than the champion."""
    gap = {"baseline": "bg_nbd", "difference": -0.02, "low": -0.03, "high": -0.01}
    for passed in (True, False):
        rules = Check("rules", passed, "it beats all", gap)
        gate = Gate("bg_nbd", (rules, Check("leaks", True, "")))
        shut = gate.without_champion("m-1", "the file heads/lapse.txt was altered.")
        assert not shut.open
        assert shut.stand_in("m-1", stands_in=False) is None
        assert [check.name for check in shut.checks] == ["rules", "champion", "leaks"]
        assert gate_table(shut)[2][1][1:] == ("NO", "it cannot be read")
        assert any("(the file heads/lapse.txt was altered), so" in why for why in shut.reasons)


def test_a_model_better_on_only_one_cutoff_is_not_called_worse():
    """The gate fails despite good figures; the line must state why."""
    gap = {"baseline": "bg_nbd", "difference": -0.02, "low": -0.03, "high": -0.01}
    alone, enough = (
        Gate("bg_nbd", (Check("rules", cutoffs > 1, "", {**gap, "cutoffs": cutoffs}),))
        for cutoffs in (1, 2)
    )
    (_, word, reported), (_, sure, figures) = gate_table(alone)[2][0], gate_table(enough)[2][0]
    assert (word, sure) == ("NO", "yes")
    assert reported == f"only 1 cutoff, which is too few: {figures}"
