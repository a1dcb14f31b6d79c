"""The one door to MLflow: every training on record, the model registered, the alias kept true.

The store is made once under a file lock, and a server that is down costs seconds: training never
waits for it, and the bundle on disk stays the truth.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from churn.errors import StorageError
from churn.files.hashes import sha256_of
from churn.files.locks import exclusive
from churn.files.names import check_name
from churn.modeling import portable
from churn.modeling.model import ChurnModel
from churn.modeling.settings import TrackingSettings

__all__ = ["Recorded", "bundle_from_registry", "promote_in_registry", "record_training"]

ALIAS = "champion"
PYFUNC_TAIL = '''

import hashlib
import json
from pathlib import Path

import mlflow.pyfunc
from mlflow.models import set_model


class Predictor(mlflow.pyfunc.PythonModel):
    """The churn model as an MLflow model: feature rows in, probabilities out."""

    def load_context(self, context):
        folder = Path(context.artifacts["model"])
        written = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        heads = {}
        for name, sha256 in written["heads"].items():
            data = (folder / (name + ".txt")).read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                raise ValueError("the model file " + name + ".txt is not the one that was logged")
            heads[name] = data.decode("utf-8")
        self.model = PortableModel(written["spec"], heads)

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return self.model.predict(model_input)


set_model(Predictor())
'''


@dataclass(frozen=True)
class Recorded:
    """The MLflow run and the registered version of a training."""

    run_id: str
    version: str


def record_training(
    settings: TrackingSettings,
    model: ChurnModel,
    *,
    bundle: Path,
    parameters: Mapping[str, object],
    metrics: Mapping[str, float],
    folder: Path,
) -> Recorded:
    """One run with its parameters, metrics and bundle, and one new version of the model.

    Relative SQLite stores, and the artifacts beside them, lie in `folder`.
    Raises StorageError when MLflow cannot be reached.
    """
    with _client(settings, folder) as mlflow:
        with mlflow.start_run(run_name=bundle.name) as run:
            mlflow.log_params({name: str(value)[:500] for name, value in parameters.items()})
            mlflow.set_tag("model_id", bundle.name)
            mlflow.log_artifacts(str(bundle), "bundle")
            logged = _log_model(mlflow, settings, model)
            mlflow.log_metrics(dict(metrics), model_id=logged.model_id)
            version = _register(mlflow, settings, logged, run.info.run_id)
        return Recorded(run.info.run_id, version)


def promote_in_registry(settings: TrackingSettings, recorded: Recorded, *, folder: Path) -> None:
    """Points the alias `champion` of the registered model at that version."""
    with _client(settings, folder) as mlflow:
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(settings.model_name, ALIAS, recorded.version)


def store_uri(settings: TrackingSettings, folder: Path) -> str:
    """The tracking URI, a relative SQLite path made absolute from `folder`."""
    prefix = "sqlite:///"
    if not settings.uri.startswith(prefix) or settings.uri.startswith(prefix + "/"):
        return settings.uri
    return f"{prefix}{(folder / settings.uri.removeprefix(prefix)).resolve()}"


@contextmanager
def _client(settings: TrackingSettings, folder: Path) -> Iterator[Any]:
    """MLflow, pointed at the store, which is made first where there is none."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own use of SQLAlchemy and pandas warns
        import mlflow

        uri = store_uri(settings, folder)
        try:
            with (
                _silence(),
                exclusive(folder / ".mlflow.lock", what="the MLflow store", wait_seconds=120),
            ):
                mlflow.set_tracking_uri(uri)
                _experiment(mlflow, settings, folder, local=uri.startswith("sqlite:"))
            with _silence():
                yield mlflow
        except mlflow.exceptions.MlflowException as failure:
            cause = str(failure).strip().splitlines()[0][:160]
            rule = f"MLflow at {settings.uri.split('@')[-1]} must answer"
            raise StorageError(rule, got=cause, fix="Start it; the bundle is safe.") from None


@contextmanager
def _silence() -> Iterator[None]:
    """MLflow tells of every table that it makes."""
    from mlflow.utils.logging_utils import disable_logging, enable_logging

    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    disable_logging()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        enable_logging()  # type: ignore[no-untyped-call]
        logger.setLevel(level)


def _experiment(mlflow: Any, settings: TrackingSettings, folder: Path, *, local: bool) -> None:
    if mlflow.get_experiment_by_name(settings.experiment) is None:
        place = (folder / "mlartifacts").resolve().as_uri() if local else None
        mlflow.create_experiment(settings.experiment, artifact_location=place)
    mlflow.set_experiment(settings.experiment)


def _log_model(mlflow: Any, settings: TrackingSettings, model: ChurnModel) -> Any:
    from mlflow.models.signature import ModelSignature

    with tempfile.TemporaryDirectory(prefix="churn-pyfunc-") as scratch:
        code = Path(scratch) / "churn_predictor.py"
        source = Path(portable.__file__).read_text(encoding="utf-8")
        code.write_text(source + PYFUNC_TAIL, encoding="utf-8")
        parts = Path(scratch) / "model"
        _write_parts(model, parts)
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(code),
            artifacts={"model": str(parts)},
            # MLflow drops columns that a signature does not name; the model itself refuses them
            signature=ModelSignature(outputs=_outputs()),
            metadata={"features": model.feature_names_},
            pip_requirements=[
                f"{name}=={version(name)}" for name in ("lightgbm", "mlflow", "numpy", "pandas")
            ],
        )


def _register(mlflow: Any, settings: TrackingSettings, logged: Any, run_id: str) -> str:
    """The number of the new version of the registered model."""
    client = mlflow.MlflowClient()
    check_name(settings.model_name, what="[tracking] model_name")
    try:
        client.create_registered_model(settings.model_name)
    except mlflow.exceptions.MlflowException as failure:  # also where another run was faster
        if failure.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        settings.model_name, logged.model_uri, run_id, model_id=logged.model_id
    )
    return str(made.version)


def _write_parts(model: ChurnModel, parts: Path) -> None:
    parts.mkdir()
    hashes = {}
    for name, text in model.heads_.items():
        (parts / f"{name}.txt").write_text(text, encoding="utf-8")
        hashes[name] = sha256_of(parts / f"{name}.txt")
    written = json.dumps({"spec": model.spec(), "heads": hashes}, sort_keys=True, indent=1)
    (parts / "model.json").write_text(written, encoding="utf-8")


def _outputs() -> Any:
    from mlflow.types.schema import ColSpec, Schema

    texts = ("probability_source",)
    return Schema([ColSpec("string" if n in texts else "double", n) for n in portable.OUTPUTS])


def bundle_from_registry(settings: TrackingSettings, address: str, *, folder: Path) -> Path:
    """A local copy of the bundle behind `models:/name@alias` or `models:/name/version`."""
    with _client(settings, folder) as mlflow:
        client = mlflow.MlflowClient()
        name, _, rest = address.removeprefix("models:/").replace("@", "/@").partition("/")
        if rest.startswith("@"):
            found = client.get_model_version_by_alias(name, rest[1:])
        else:
            found = client.get_model_version(name, rest)
        place = mlflow.artifacts.download_artifacts(
            run_id=found.run_id, artifact_path="bundle", dst_path=tempfile.mkdtemp("-churn")
        )
    return Path(place)
