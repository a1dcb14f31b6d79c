"""What MLflow is told comes from the manifest alone, in forms that it takes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kept_models import FOLD, facts
from mlflow.utils.validation import _validate_metric, _validate_param_name

from churn.modeling.registry.record import (
    child_runs,
    dataset_inputs,
    metrics_of,
    parameters_of,
    tags_of,
)

MANIFEST = {
    **facts(),
    "model_id": "m-1",
    "parameters": {"seed": 7, "margin_rate": 0.3},
    "clock": {"horizon_days": 28},
    "cutoffs": {"dates": ["2023-10-09", "2023-10-23"]},
    "features": [{"name": "recency_days"}],
}


def test_parameters_tell_recipe_times_and_cutoffs():
    said = parameters_of(MANIFEST)
    assert (said["seed"], said["horizon_days"], said["as_of"]) == ("7", "28", "2024-01-01")
    assert said["cutoffs"] == "2023-10-09, 2023-10-23"
    assert said["test_cutoffs"] == ", ".join(MANIFEST["evaluation"]["cutoffs"])


def test_metrics_are_the_judgement_of_model_and_rules_by_group_with_intervals():
    said = metrics_of(MANIFEST)
    judged = MANIFEST["evaluation"]["judged"]
    (model,) = [j for j in judged if (j["group"], j["predictor"]) == ("eligible", "model")]
    assert said["model_roc_auc"] == model["roc_auc"]
    assert said["model_log_loss_high"] == model["log_loss_high"]
    assert {"bg_nbd_log_loss", "recency_roc_auc", "one-time buyers/model_rows"} <= set(said)
    gap = MANIFEST["evaluation"]["log_loss_difference"]["bg_nbd"]
    ends = ("", "_low", "_high")
    assert [said[f"log_loss_difference_to_bg_nbd{end}"] for end in ends] == gap


def test_figures_of_the_report_are_metrics_of_their_own_names():
    said = metrics_of({**MANIFEST, "judgement": {"empc": 1.5, "calibration": {"ece": 0.01}}})
    assert (said["empc"], said["calibration_ece"]) == (1.5, 0.01)


@pytest.mark.parametrize(
    ("gate", "wanted"),
    [
        ({"open": True}, "open"),
        ({"open": False, "promoted": True}, "closed"),
        ({"promoted": True, "checks": [{"passed": True}, {"passed": False}]}, "closed"),
        ({"promoted": False, "checks": [{"passed": True}]}, "open"),
        ({"promoted": True, "stand_in": None}, "open"),
        ({"promoted": True, "stand_in": "recency"}, "closed"),
        ({"promoted": False, "stand_in": None}, "closed"),
    ],
)
def test_the_gate_is_told_whatever_release_wrote_it(gate, wanted):
    assert tags_of({"model_id": "m-1", "gate": gate})["gate"] == wanted


def test_every_fold_is_a_child_with_texts_as_parameters_and_numbers_as_metrics():
    ((name, parameters, metrics),) = child_runs(MANIFEST)
    assert name == "fold 2023-08-14"
    assert parameters == {"cutoff": "2023-08-14", "best_baseline": "bg_nbd"}
    assert metrics == {n: v for n, v in FOLD.items() if isinstance(v, int | float)}


def test_lineage_names_fingerprint_files_rows_and_cutoffs_of_both_uses():
    training, evaluation = dataset_inputs(MANIFEST)
    assert [one.tags[0].value for one in (training, evaluation)] == ["training", "evaluation"]
    assert training.dataset.digest == ("cd" * 32)[:36]
    assert json.loads(training.dataset.source) == {"orders": {"orders.parquet": "ab" * 32}}
    assert json.loads(training.dataset.profile)["cutoffs"] == MANIFEST["cutoffs"]["dates"]
    assert json.loads(evaluation.dataset.profile)["cutoffs"] == MANIFEST["evaluation"]["cutoffs"]
    assert json.loads(training.dataset.profile)["orders"] == 9


def test_a_manifest_that_tells_little_is_recorded_all_the_same():
    """Bundles of earlier releases have no folds, fingerprint or open gate."""
    bare = {"model_id": "m-1"}
    assert metrics_of(bare) == {}
    assert child_runs(bare) == []
    assert tags_of(bare)["gate"] == "closed"
    assert [one.dataset.digest for one in dataset_inputs(bare)] == ["unknown", "unknown"]


folds = st.dictionaries(
    st.text(max_size=12),
    st.none() | st.floats() | st.integers() | st.booleans() | st.text() | st.lists(st.text()),
)


@given(fold=folds)
def test_whatever_a_fold_is_called_mlflow_takes_its_names(fold):
    ((_, parameters, metrics),) = child_runs({"folds": [fold]})
    for name in parameters:
        assert name == "" or _validate_param_name(name) is None
    for name, value in metrics.items():
        assert name == "" or _validate_metric(name, value, 0, 0) is None
