"""Recording a model in MLflow: a run with a nested run per fold, and a registered version."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.modeling.manifest import gate_open
from churn.modeling.model import ChurnModel
from churn.modeling.registry.predictor import log_predictor
from churn.modeling.registry.store import mlflow_store
from churn.modeling.settings import TrackingSettings
from churn.storage.files import check_name

Manifest = Mapping[str, Any]
ChildRun = tuple[str, dict[str, str], dict[str, float]]
"""Name, parameters and metrics of a nested run."""

LONGEST_PARAMETER = 500
LONGEST_DIGEST = 36

REPORT = "report"
MLFLOW_PARENT_RUN_ID = "mlflow.parentRunId"


def parameters_of(manifest: Manifest) -> dict[str, str]:
    """The recipe, the time windows and the cutoffs, within MLflow's limit on length."""
    cutoffs = manifest.get("cutoffs", {})
    said = {
        **manifest.get("parameters", {}),
        **manifest.get("clock", {}),
        "as_of": manifest.get("as_of"),
        "cutoffs": ", ".join(cutoffs.get("dates", ())),
        "test_cutoffs": ", ".join(manifest.get("evaluation", {}).get("cutoffs", ())),
        "features": len(manifest.get("features", ())),
    }
    return {name: str(value)[:LONGEST_PARAMETER] for name, value in said.items()}


def metrics_of(manifest: Manifest) -> dict[str, float]:
    """Every figure of the evaluation: `model_roc_auc`, `bg_nbd_log_loss`, and, for a group of
    customers, `one-time buyers/model_roc_auc`; `_low` and `_high` are the ends of the interval.
    """
    evaluation = manifest.get("evaluation", {})
    found: dict[str, float] = {}
    for one in evaluation.get("judged", ()):
        figures = {name: value for name, value in one.items() if name not in ("group", "predictor")}
        group = "" if one["group"] == "eligible" else f"{_allowed(one['group'])}/"
        found |= dict(_numbers(figures, f"{group}{one['predictor']}_"))
    for name, gap in evaluation.get("log_loss_difference", {}).items():
        ends = dict(zip(("", "_low", "_high"), gap, strict=True))
        found |= dict(_numbers(ends, f"log_loss_difference_to_{name}"))
    return found | dict(_numbers(manifest.get("judgement", {})))


def child_runs(manifest: Manifest) -> list[ChildRun]:
    """One nested run per forward fold: its texts are parameters, its numbers metrics."""
    runs: list[ChildRun] = []
    for fold in manifest.get("folds", ()):
        texts = dict(_texts(fold))
        name = f"fold {texts.get('cutoff', len(runs) + 1)}"
        runs.append((name, texts, dict(_numbers(fold))))
    return runs


def tags_of(manifest: Manifest) -> dict[str, str]:
    """Tags that identify a run, and the result of the gate."""
    gate = manifest.get("gate", {})
    return {
        "model_id": str(manifest["model_id"]),
        "created_at": str(manifest.get("created_at", "")),
        "gate": "open" if gate_open(manifest) else "closed",
        "gate_reasons": "; ".join(gate.get("reasons", ()))[:LONGEST_PARAMETER],
    }


def dataset_inputs(manifest: Manifest) -> list[Any]:
    """Lineage: training and evaluation data, by fingerprint and cutoffs."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    uses = {
        "training": manifest.get("cutoffs", {}).get("dates", ()),
        "evaluation": manifest.get("evaluation", {}).get("cutoffs", ()),
    }
    return [
        DatasetInput(
            Dataset(
                name=use,
                digest=_fingerprint(manifest)[:LONGEST_DIGEST],
                source_type="files",
                source=json.dumps(_files(manifest), sort_keys=True),
                schema=json.dumps({"features": _feature_names(manifest)}),
                profile=json.dumps({**_profile(manifest), "cutoffs": list(cutoffs)}),
            ),
            tags=[InputTag("mlflow.data.context", use)],
        )
        for use, cutoffs in uses.items()
    ]


def _fingerprint(manifest: Manifest) -> str:
    return str(manifest.get("data", {}).get("fingerprint") or "unknown")


def _files(manifest: Manifest) -> dict[str, Any]:
    return dict(manifest.get("data", {}).get("files", {}))


def _feature_names(manifest: Manifest) -> list[str]:
    return [feature["name"] for feature in manifest.get("features", ())]


def _profile(manifest: Manifest) -> dict[str, Any]:
    kept = {name: value for name, value in manifest.get("data", {}).items() if name != "files"}
    return {**kept, "as_of": manifest.get("as_of")}


def _numbers(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Finite numbers of a nested mapping, names joined with `_`."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _numbers(inner, f"{prefix}{_allowed(name)}_")
        elif isinstance(inner, int | float) and math.isfinite(inner):
            yield f"{prefix}{_allowed(name)}", float(inner)


def _texts(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _texts(inner, f"{prefix}{_allowed(name)}_")
        elif isinstance(inner, str):
            yield f"{prefix}{_allowed(name)}", inner[:LONGEST_PARAMETER]
        elif isinstance(inner, list):
            yield f"{prefix}{_allowed(name)}", ", ".join(map(str, inner))[:LONGEST_PARAMETER]


def _allowed(name: str) -> str:
    """The name with only the characters that MLflow allows, not a path."""
    name = re.sub(r"[^\w\-. ]", "_", name)
    return name if name.strip(".") else "_" * len(name)


@dataclass(frozen=True)
class Recorded:
    """The MLflow run and the registered version of a model, and whether they were just created."""

    run_id: str
    version: str
    new: bool


def record_bundle(
    settings: TrackingSettings, model: ChurnModel, *, bundle: Path, folder: Path
) -> Recorded:
    """The run and the version of a loaded bundle, created unless they exist.

    The version is created last, so an interrupted run has none: it is marked as failed with
    everything it began, and recorded again. Raises StorageError if MLflow cannot be reached.
    """
    check_name(settings.model_name, what="[tracking] model_name")
    with mlflow_store(settings, folder, writing=True) as mlflow:
        client = mlflow.MlflowClient()
        found = find_version(client, settings, model.manifest_["model_id"])
        if found is not None:
            return Recorded(found.run_id, str(found.version), new=False)
        _fail_unfinished(client, settings, model.manifest_["model_id"])
        with mlflow.start_run(run_name=bundle.name, tags=tags_of(model.manifest_)) as run:
            _log_facts(mlflow, client, model, run.info.run_id)
            _log_folders(mlflow, bundle)
            logged = log_predictor(mlflow, model)
            mlflow.log_metrics(metrics_of(model.manifest_), model_id=logged.model_id)
        version = _register(mlflow, settings, model, logged, run.info.run_id)
        return Recorded(run.info.run_id, version, new=True)


def find_version(client: Any, settings: TrackingSettings, model_id: str) -> Any:
    """The registered version of a bundle, or None."""
    for run in _runs_of(client, settings, model_id):
        for version in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
            if version.name == settings.model_name:
                return version
    return None


def _runs_of(client: Any, settings: TrackingSettings, model_id: str) -> list[Any]:
    experiment = client.get_experiment_by_name(settings.experiment)
    wanted = f"tags.model_id = '{check_name(model_id, what='model_id')}'"
    return list(client.search_runs([experiment.experiment_id], filter_string=wanted))


def _fail_unfinished(client: Any, settings: TrackingSettings, model_id: str) -> None:
    """Marks what a killed process left of a model without a version as failed: its runs, including
    finished ones, their nested runs, and the models being logged.
    """
    for run in _runs_of(client, settings, model_id):
        place, run_id = [run.info.experiment_id], run.info.run_id
        for child in client.search_runs(place, f"tags.{MLFLOW_PARENT_RUN_ID} = '{run_id}'"):
            if child.info.status == "RUNNING":
                client.set_terminated(child.info.run_id, "FAILED")
        for logged in client.search_logged_models(place, f"source_run_id = '{run_id}'"):
            if logged.status == "PENDING":
                client.finalize_logged_model(logged.model_id, "FAILED")
        if run.info.status != "FAILED":
            client.set_terminated(run_id, "FAILED")


def _log_facts(mlflow: Any, client: Any, model: ChurnModel, run_id: str) -> None:
    mlflow.log_params(parameters_of(model.manifest_))
    client.log_inputs(run_id, dataset_inputs(model.manifest_))
    for name, parameters, metrics in child_runs(model.manifest_):
        with mlflow.start_run(run_name=name, nested=True):
            mlflow.log_params(parameters)
            mlflow.log_metrics(metrics)


def _log_folders(mlflow: Any, bundle: Path) -> None:
    """The whole bundle, and a copy of its report where people look for it."""
    mlflow.log_artifacts(str(bundle), "bundle")
    if (bundle / REPORT).is_dir():
        mlflow.log_artifacts(str(bundle / REPORT), REPORT)


def _register(
    mlflow: Any, settings: TrackingSettings, model: ChurnModel, logged: Any, run_id: str
) -> str:
    """The number of the new version of the registered model."""
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(settings.model_name)
    except mlflow.exceptions.MlflowException as failure:  # also if another run was faster
        if failure.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        settings.model_name,
        logged.model_uri,
        run_id,
        tags=tags_of(model.manifest_),
        model_id=logged.model_id,
    )
    return str(made.version)
