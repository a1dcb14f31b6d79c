"""A bundle on record: one run with a child for every fold, and one version in the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.files.names import check_name
from churn.modeling.model import ChurnModel
from churn.modeling.settings import TrackingSettings
from churn.modeling.tracking.facts import (
    child_runs,
    dataset_inputs,
    metrics_of,
    parameters_of,
    tags_of,
)
from churn.modeling.tracking.predictor import log_predictor
from churn.modeling.tracking.store import mlflow_store

__all__ = ["Recorded", "find_version", "record_bundle"]

REPORT = "report"
MLFLOW_PARENT_RUN_ID = "mlflow.parentRunId"


@dataclass(frozen=True)
class Recorded:
    """The MLflow run and the registered version of a model; whether they were made just now."""

    run_id: str
    version: str
    new: bool


def record_bundle(
    settings: TrackingSettings, model: ChurnModel, *, bundle: Path, folder: Path
) -> Recorded:
    """The run and the version of a loaded bundle, made unless they are there already.

    The version comes last, so a run that was cut short has none: it is marked as failed with all
    that it began, and recorded anew. Raises StorageError when MLflow cannot be reached.
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
    """The registered version that was made of a bundle, or None."""
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
    """Marks what a killed process left behind of a model without a version: its runs, also those
    that had ended, their children, and the models that they were logging.
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
    """The whole bundle, and its report once more where people look for it."""
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
    except mlflow.exceptions.MlflowException as failure:  # also where another run was faster
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
