"""A model is evaluated on cutoffs after its training data, never on what it has seen."""

import json
from datetime import timedelta

import pandas as pd
import pytest
from simulated_shop import AS_OF, DAYS, copied_shop, simulated_orders, trained_shop

from churn.commands.evaluate import evaluate
from churn.errors import GateError, StorageError
from churn.storage.manifests import hash_files


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    return copied_shop(trained_shop(base), tmp_path_factory.mktemp("judged") / "shop")


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    """The same shop sixty days later, with the same customers."""
    base = tmp_path_factory.getbasetemp()
    shop = copied_shop(trained_shop(base), tmp_path_factory.mktemp("judged-later") / "shop")
    whole = simulated_orders(days=DAYS)
    again = whole[whole["ordered_at"] >= pd.Timestamp(AS_OF) - pd.Timedelta(days=60)]
    moved = again.assign(ordered_at=again["ordered_at"] + pd.Timedelta(days=60))
    pd.concat([whole, moved]).to_parquet(shop.parent / "orders.parquet")
    return shop


@pytest.fixture(scope="module")
def judged(later):
    """The evaluation sixty days later, with two optional parts, in a given folder."""
    return evaluate(later, out=later.parent / "report", extras=("pooled", "horizons"))


def test_cutoffs_begin_where_the_training_data_ends(later, judged):
    dates = [AS_OF + timedelta(days=14 * step) for step in range(3)]
    assert judged.metrics["cutoffs"] == [str(date) for date in dates]
    assert judged.resolved["cutoffs"] == judged.metrics["cutoffs"]
    assert judged.gate["promoted"] is None
    assert len(judged.gate["reasons"]) == 1
    assert judged.model_id == (later.parent / "models" / "champion").read_text().strip()
    assert judged.exit_code == 0


def test_the_report_holds_the_hash_of_every_file(later, judged):
    folder = later.parent / "report"
    assert set(judged.files) == {folder / "card.md", folder / "judgement.json"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"] == hash_files(folder)
    assert {"card.md", "judgement.json", "gain.svg", "rates.svg"} <= set(manifest["files"])
    assert manifest["model_id"] == judged.model_id
    assert manifest["cutoffs"] == judged.metrics["cutoffs"]


def test_the_report_and_the_tables_agree_with_the_figures(later, judged):
    folder = later.parent / "report"
    page = (folder / "card.md").read_text()
    assert page.startswith(f"# Model {judged.model_id}, later evaluation")
    assert "(gain.svg)" in page
    titles = [title for title, _, _ in judged.tables]
    for part in ("Decline model", "Calibration error", "Backtest of lists", "Expected"):
        assert any(title.startswith(part) for title in titles)
    reported = json.loads((folder / "judgement.json").read_text())
    assert reported["backtest"] == judged.metrics["judgement"]["backtest"]


def test_optional_parts_are_included_on_request(judged):
    reported = judged.metrics["judgement"]
    assert len(reported["pooled"]["cutoffs"]) > len(judged.metrics["cutoffs"])
    assert [one["horizon_days"] for one in reported["horizons"]] == [14, 28, 56]
    assert reported["ablation"] == []
    assert any(title == "The recipe with other horizons" for title, _, _ in judged.tables)


def test_a_report_is_never_overwritten(later, judged):
    with pytest.raises(StorageError, match="report must not exist yet"):
        evaluate(later, out=later.parent / "report")


def test_by_default_the_report_is_next_to_the_model_and_the_champion_stays(later):
    models = later.parent / "models"
    before = (models / "champion").read_text()
    result = evaluate(later, as_of=str(AS_OF + timedelta(days=28)))
    assert (models / "champion").read_text() == before
    folder = models / "reports" / f"{result.model_id}-{result.run_id}"
    assert (folder / "card.md").is_file()
    assert result.metrics["judgement"]["pooled"] is None


def test_without_mature_labels_after_training_there_is_nothing_to_evaluate(shop):
    with pytest.raises(
        GateError, match=rf"from {AS_OF} on.*got data until {AS_OF} and 28 days to a mature label"
    ):
        evaluate(shop)
    assert not (shop.parent / "models" / "reports").exists()


def test_customers_sampled_for_training_are_sampled_for_evaluation(later, judged, monkeypatch):
    monkeypatch.setenv("CHURN__MODEL__MOST_ROWS", "2000")
    result = evaluate(later, out=later.parent / "sampled")
    assert result.rows["customers_left_out"] > 0
    assert 0 < result.rows["eligible"] < judged.rows["eligible"]
    assert "customers_left_out" not in judged.rows
