"""The MLflow model: self-contained code, model texts, and a signature."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from churn.modeling import portable
from churn.modeling.model import ChurnModel
from churn.storage.files import sha256_of
from churn.storage.publish import private_folder

REQUIREMENTS = ("lightgbm", "mlflow", "numpy", "pandas")
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


def log_predictor(mlflow: Any, model: ChurnModel) -> Any:
    """The logged model of the active run, with its signature and pinned requirements.

    Requirements are explicit: inferring them would take seconds to load the model in another
    process.
    """
    from mlflow.models.signature import ModelSignature

    with _scratch() as scratch:
        code = scratch / "churn_predictor.py"
        code.write_text(predictor_code(), encoding="utf-8")
        parts = write_parts(model, scratch / "model")
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(code),
            artifacts={"model": str(parts)},
            signature=ModelSignature(inputs=_inputs(model), outputs=_outputs()),
            metadata={"features": model.feature_names_},
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for the model's parts and MLflow's temporary copies of them; leftovers of a killed
    process are removed by the next one.
    """
    folder, usual = private_folder("churn-pyfunc-"), tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = usual
        shutil.rmtree(folder, ignore_errors=True)


def predictor_code() -> str:
    """The text of the Python file that MLflow runs to create the model."""
    return Path(portable.__file__).read_text(encoding="utf-8") + PYFUNC_TAIL


def write_parts(model: ChurnModel, folder: Path) -> Path:
    """Writes the heads' texts and `model.json` (the spec and the texts' hashes) to a new folder."""
    folder.mkdir()
    hashes = {}
    for name, text in model.heads_.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        hashes[name] = sha256_of(folder / f"{name}.txt")
    written = json.dumps({"spec": model.spec(), "heads": hashes}, sort_keys=True, indent=1)
    (folder / "model.json").write_text(written, encoding="utf-8")
    return folder


def _inputs(model: ChurnModel) -> Any:
    """The features, and the optional columns for customer and status.

    MLflow drops columns that are not listed here with a warning, and rejects rows in which columns
    are missing.
    """
    from mlflow.types.schema import ColSpec, Schema

    beside = [ColSpec("string", name, required=False) for name in ("customer_id", "status")]
    return Schema([*beside, *(ColSpec("double", name) for name in model.feature_names_)])


def _outputs() -> Any:
    from mlflow.types.schema import ColSpec, Schema

    texts = ("probability_source",)
    return Schema([ColSpec("string" if n in texts else "double", n) for n in portable.OUTPUTS])
