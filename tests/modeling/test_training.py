"""The whole recipe on real purchases: the figures to beat, out of time."""

from datetime import date
from pathlib import Path

import pytest
from simulated_shop import shop_dataset, shop_panel

from churn.config import load_tables
from churn.data.cutoffs import Cutoffs
from churn.modeling.baselines import BASELINES
from churn.modeling.dataset import build_dataset
from churn.modeling.evaluate import evaluate
from churn.modeling.gate import judge
from churn.modeling.model import ChurnModel
from churn.modeling.panel import resolve_panel
from churn.modeling.training import canary_rows, reference_rows

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


@pytest.mark.parametrize("name", BASELINES)
def test_the_model_beats_every_rule_on_real_purchases(judged, name):
    assert judged.against[name].estimate < 0
    rule = judged.of(name).metrics["roc_auc"].estimate
    assert judged.of("model").metrics["roc_auc"].estimate > rule


def test_the_gate_opens_on_real_purchases_without_a_suspicion(judged):
    gate = judge(judged)
    assert gate.open
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
