"""The whole recipe on real purchases: the figures to beat, out of time."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from simulated_shop import (
    AS_OF,
    CUTOFFS,
    HORIZON_DAYS,
    shop_dataset,
    shop_evaluation,
    shop_panel,
    shop_tables,
    simulated_orders,
)

from churn.config import load_tables
from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.modeling.baselines import BASELINES
from churn.modeling.card import model_card
from churn.modeling.dataset import build_dataset, canary_rows, reference_rows
from churn.modeling.evaluate import evaluate
from churn.modeling.gate import judge
from churn.modeling.judgement.pictures import judgement_files
from churn.modeling.model import ChurnModel
from churn.modeling.panel import resolve_panel
from churn.modeling.training import (
    find_leaks,
    train_model,
    with_fallback,
)

ROOT = Path(__file__).parents[2]
COMPLETE_JOURNEY = ROOT / "data/complete_journey/order_lines.parquet"
DECEMBER = date(2017, 12, 3)


@pytest.fixture(scope="module")
def judged():
    """Trained as of 2017-12-03 on the Complete Journey, judged on the 28 days after it."""
    if not COMPLETE_JOURNEY.exists():
        pytest.skip("needs `churn example`'s data")
    tables = load_tables(ROOT / "churn.toml")
    panel = resolve_panel(tables, DECEMBER)
    model = ChurnModel(seed=7, threads=1).fit(build_dataset(tables, panel.cutoffs, panel.clock))
    later = Cutoffs((DECEMBER,), panel.clock.horizon_days, tables.end())
    evaluation = evaluate(model, build_dataset(tables, later, panel.clock), seed=7)
    tables.engine.close()
    return evaluation


def test_the_eligible_of_the_complete_journey_are_counted(judged):
    assert judged.of("model").rows == 2_231
    assert judged.of("model").base_rate == pytest.approx(0.1336, abs=5e-5)


def test_the_figures_to_beat_are_beaten(judged):
    metrics = judged.of("model").metrics
    assert 0.868 <= metrics["roc_auc"].estimate < 0.9
    assert metrics["log_loss"].estimate <= 0.280


def test_the_decline_head_ranks_real_purchases(judged):
    decline = {one.group: one for one in judged.decline}
    assert decline["3+ purchase days"].rows == 2_212
    assert 0.72 <= decline["3+ purchase days"].metrics["roc_auc"].estimate < 0.8


@pytest.mark.parametrize("name", BASELINES)
def test_the_model_beats_every_rule_on_real_purchases(judged, name):
    assert judged.against[name].estimate < 0
    rule = judged.of(name).metrics["roc_auc"].estimate
    assert judged.of("model").metrics["roc_auc"].estimate > rule


def test_one_cutoff_of_real_purchases_beats_the_rules_without_a_suspicion(judged):
    """Of a promotion two cutoffs decide."""
    gate = judge(judged)
    assert judged.against[gate.best_baseline].high < 0
    assert not gate.open
    assert gate.warnings == ()


def test_canaries_are_rows_of_every_status_without_names():
    rows = canary_rows(shop_dataset(), rows=7)
    assert rows["status"].value_counts().to_dict() == {"eligible": 7, "lapsed": 7}
    assert list(rows.columns) == ["status", *shop_dataset().feature_names]


def test_the_reference_of_drift_is_the_newest_cutoffs_eligible_without_names():
    newest = shop_dataset().only(shop_panel().cutoffs.only(shop_panel().cutoffs.dates[-1:]))
    rows = reference_rows(shop_dataset(), rows=10_000)
    assert len(rows) == len(newest.eligible)
    assert list(rows.columns) == list(shop_dataset().feature_names)
    assert len(reference_rows(shop_dataset(), rows=5)) == 5


RECIPE = ChurnModel(seed=7, rounds=10, threads=1)


def visits_before(days):
    """The shop, and a visit so many days before each order, as a table of events would have it."""
    orders = simulated_orders()
    moved = orders["ordered_at"] - pd.Timedelta(days=days)
    events = pd.DataFrame(
        {"customer_id": orders["customer_id"], "occurred_at": moved, "event_type": "visit"}
    )
    return Tables.from_frames(orders, events=events, currency="EUR")


def visit_leaks(tables):
    dataset = build_dataset(tables, shop_panel().cutoffs, shop_panel().clock)
    found = find_leaks(tables, dataset, shop_panel(), shop_evaluation())
    tables.engine.close()
    return {leak.feature: leak for leak in found}


def test_visits_on_the_day_of_the_order_are_no_leak():
    assert visit_leaks(visits_before(0)) == {}


@pytest.mark.parametrize("days", [1, 3, 7])
def test_a_table_whose_rows_are_dated_too_early_shows_the_days_after_the_cutoff(days):
    """The visit of an order that comes on the cutoff's own day, or later, is already there."""
    leaks = visit_leaks(visits_before(days))
    assert leaks
    assert all("visit" in name for name in leaks)
    assert {leak.figures["days"] for leak in leaks.values()} == {days}


def test_a_training_on_leaking_tables_is_refused_and_its_features_named():
    tables = visits_before(1)
    trained = train_model(RECIPE, tables, shop_panel())
    tables.engine.close()
    assert not trained.gate.open
    assert any("sees the cutoff's own day" in reason for reason in trained.gate.reasons)
    rule = trained.gate.stand_in(None, stands_in=False)
    assert rule == trained.gate.best_baseline
    assert_stands_on_orders_alone(trained, with_fallback(trained, rule), rule)


def assert_stands_on_orders_alone(refused, stand_in, rule):
    """What speaks for the refused model has no feature of visits, and is judged as itself."""
    assert any("visit" in name for name in refused.model.feature_names_)
    assert not any("visit" in name for name in stand_in.model.feature_names_)
    assert (refused.model.stand_in, stand_in.model.stand_in) == (None, rule)
    assert stand_in.evaluation == refused.evaluation
    spoken = stand_in.judgement.evaluation
    assert spoken.against[rule].estimate == 0.0
    assert spoken.of("model").metrics == spoken.of(rule).metrics
    card = model_card(stand_in, model_id="churn-1", currency="EUR")
    assert f"**Fallback model: the baseline `{rule}` is active instead**" in card
    assert f"| {rule} (fallback) |" in card
    assert "| model |" not in card
    assert f"The rejected model: log loss {_loss(refused.evaluation):.4f} [" in card
    assert "## Feature importance" not in card
    drawn = judgement_files(stand_in.judgement)
    assert "importance.svg" not in drawn
    assert "gain.svg" in drawn


def _loss(evaluation):
    return evaluation.of("model").metrics["log_loss"].estimate


def test_a_refit_on_fresher_labels_that_is_not_inferior_is_let_through():
    """A month later the same recipe learns again, and is measured by itself on the same past."""
    earlier = resolve_panel(
        shop_tables(), AS_OF - timedelta(days=28), horizon_days=HORIZON_DAYS, count=CUTOFFS
    )
    recipe = ChurnModel(seed=7, rounds=40, threads=1)
    champion = recipe.fit(build_dataset(shop_tables(), earlier.cutoffs, earlier.clock))
    champion.manifest_ = {"model_id": "churn-old"}
    trained = train_model(recipe, shop_tables(), shop_panel(), champion=champion)
    assert trained.gate.open
    checks = {check.name: check for check in trained.gate.checks}
    assert set(checks) == {"rules", "champion", "slices", "leaks"}
    assert checks["champion"].figures["how"] == "recipe refitted"
    assert trained.folds[-1].cutoff in shop_panel().development.dates
