"""A model as a folder without pickles: text, JSON and Parquet, every file checked by hash.

`manifest.json` describes the model and holds the SHA-256 of every other file. Nothing is parsed,
least of all by LightGBM, before its hash is verified. No file is ever unpickled.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn.data.cutoffs import Cutoffs
from churn.errors import ConfigError, ModelError, check_type
from churn.features.catalogue import CATALOGUE
from churn.features.clock import FeatureClock
from churn.modeling.manifest import SCHEMA, not_whole, read_manifest, resolve_bundle, signed
from churn.modeling.model import ChurnModel
from churn.modeling.portable import OUTPUTS
from churn.storage.files import check_name
from churn.storage.manifests import hash_files
from churn.storage.publish import publish_directory

REPORT = "report"
TOLERANCE = 1e-9
JSON_PARTS = ("calibration", "baselines", "fallback", "win_back", "amounts", "blend")
CANARY_SECONDS = 300
WRITTEN_ANEW = frozenset(
    {
        *("schema", "model_id", "parameters", "clock", "cutoffs", "base_rate", "heads"),
        *("features", "versions", "files", "signature"),
    }
)


def write_bundle(  # noqa: PLR0913 - each is a part of the folder
    model: ChurnModel,
    directory: Path,
    *,
    model_id: str,
    facts: Mapping[str, Any],
    population: Mapping[str, Any],
    canaries: pd.DataFrame,
    reference: pd.DataFrame,
    card: str,
    report: Mapping[str, bytes] | None = None,
    signing_key: str | None = None,
) -> Path:
    """Writes the folder `directory`/`model_id`, complete or not at all.

    `facts` go into the manifest, which is signed if there is a key; `report` holds the files of the
    folder of that name: the evaluation and its charts.
    """
    target = directory / check_name(model_id, what="model_id")
    with publish_directory(target) as folder:
        (folder / "heads").mkdir()
        for name, text in model.heads_.items():
            (folder / "heads" / f"{name}.txt").write_text(text, encoding="utf-8")
        spec = model.spec()
        for part in JSON_PARTS:
            _write_json(folder / f"{part}.json", spec[part])
        _write_json(folder / "population.json", population)
        said = model.predict_frame(canaries)
        pd.concat([canaries, said.add_prefix("said_")], axis=1).to_parquet(
            folder / "canaries.parquet", index=False
        )
        reference.to_parquet(folder / "reference.parquet", index=False)
        (folder / "card.md").write_text(card, encoding="utf-8")
        (folder / REPORT).mkdir()
        for name, content in (report or {}).items():
            (folder / REPORT / name).write_bytes(content)
        manifest = _manifest(model, model_id, facts) | {"files": hash_files(folder)}
        _write_json(folder / "manifest.json", signed(manifest, signing_key))
    return target


def save_bundle(model: ChurnModel, path: Path, *, signing_key: str | None = None) -> Path:
    """Saves a model that was fitted or loaded in Python as a bundle.

    The manifest facts, card and report of a loaded model are kept.
    """
    if path.exists():
        rule = "a model must be saved to a new folder"
        raise ConfigError(rule, got=path.name, fix="Pass another name, or remove the folder first.")
    manifest = getattr(model, "manifest_", {})
    facts = {name: fact for name, fact in manifest.items() if name not in WRITTEN_ANEW}
    canaries, reference = _samples(model)
    card, report = _page(model, path.name)
    return write_bundle(
        model,
        path.absolute().parent,
        model_id=path.name,
        facts=facts,
        population=getattr(model, "population_", {}),
        canaries=canaries,
        reference=reference,
        card=card,
        report=report,
        signing_key=signing_key,
    )


def _samples(model: ChurnModel) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Canary and reference rows, from the fit or from the model's own bundle."""
    if model._samples_ is not None:
        return model._samples_["canaries"], model._samples_["reference"]
    folder = Path() if model._folder_ is None else model._folder_
    try:
        canaries = pd.read_parquet(folder / "canaries.parquet")
        reference = pd.read_parquet(folder / "reference.parquet")
    except OSError:
        rule = "the bundle of a loaded model must still exist to save the model again"
        raise ModelError(rule, got=folder.name, fix="Restore the folder.") from None
    return canaries.drop(columns=canaries.filter(regex="^said_").columns), reference


def _page(model: ChurnModel, name: str) -> tuple[str, dict[str, bytes]]:
    """The card and report files of a loaded model; a one-line card for others."""
    folder = model._folder_
    if folder is None or not (folder / "card.md").is_file():
        return f"# Model {name}\n\nSaved from Python, without an evaluation.\n", {}
    report = {file.name: file.read_bytes() for file in sorted((folder / REPORT).glob("*"))}
    return (folder / "card.md").read_text(encoding="utf-8"), report


def load_bundle(
    path: Path | str, *, threads: int = 0, signing_key: str | None = None
) -> ChurnModel:
    """The model of a bundle, or of the pointer `champion`, ready to predict.

    `model.manifest_` describes it. Raises ModelError if a file is missing, altered, a symbolic link
    or not part of the bundle, and, with a key, if that key did not sign it.
    """
    fix = 'Pass a folder or a pointer, e.g. "models/champion".'
    check_type(path, Path, str, name="the path of a model", fix=fix)
    folder = resolve_bundle(Path(path))
    manifest = read_manifest(folder, signing_key=signing_key)
    try:
        return _rebuilt(folder, manifest, threads)
    except (ConfigError, OSError, ValueError, KeyError, TypeError, AttributeError):
        raise not_whole(folder) from None


def _rebuilt(folder: Path, manifest: dict[str, Any], threads: int) -> ChurnModel:
    """The fitted model of a verified folder."""
    texts = {name: f"heads/{name}.txt" for name in manifest["heads"]}
    if not set(texts.values()) <= set(manifest["files"]):
        raise not_whole(folder)  # a name that points to an unverified file
    model = ChurnModel(**{**manifest["parameters"], "threads": threads})
    parts = {name: _read_json(folder / f"{name}.json") for name in _parts_of(manifest)}
    model.feature_names_ = [feature["name"] for feature in manifest["features"]]
    model.clock_ = FeatureClock(**manifest["clock"])
    model.cutoffs_ = _cutoffs(manifest["cutoffs"])
    model.heads_ = {
        name: (folder / text).read_text(encoding="utf-8") for name, text in texts.items()
    }
    for name in JSON_PARTS:
        setattr(model, f"{name}_", parts.get(name))
    model.base_rate_ = float(manifest["base_rate"])
    model.classes_ = np.array([0, 1])
    model.population_ = _read_json(folder / "population.json")
    model.manifest_ = manifest
    model._samples_, model._folder_ = None, folder
    model._portable_ = None
    return model


def _parts_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The JSON parts of a bundle; the oldest readable schema has no blend."""
    return JSON_PARTS if manifest["schema"] == SCHEMA else JSON_PARTS[:-1]


def check_canaries(path: Path) -> None:
    """Raises ModelError if a new process does not reproduce the scores of the canary rows.

    The model text is parsed by native code; a bad one crashes only that process.
    """
    code = "import sys; from churn.modeling.bundle import compare_canaries as c; c(sys.argv[1])"
    try:
        child = subprocess.run(  # noqa: S603 - this interpreter and fixed code
            [sys.executable, "-P", "-c", code, str(resolve_bundle(path))],
            capture_output=True,
            text=True,
            check=False,
            timeout=CANARY_SECONDS,
        )
        last = (child.stderr.strip().splitlines() or ["it was killed"])[-1]
        failed = child.returncode != 0
    except subprocess.TimeoutExpired:
        last, failed = f"no result within {CANARY_SECONDS} s", True
    if failed:
        rule = "a new process must load the model and reproduce its scores"
        raise ModelError(rule, got=last, fix="Train again.")


def compare_canaries(folder: str) -> None:
    """Loads the bundle and compares its predictions for the canary rows with the stored ones."""
    model = load_bundle(folder)
    rows = pd.read_parquet(Path(folder) / "canaries.parquet")
    said = rows.filter(regex="^said_").rename(columns=lambda name: name.removeprefix("said_"))
    now = model.predict_frame(rows.drop(columns=[f"said_{name}" for name in OUTPUTS]))
    pd.testing.assert_frame_equal(now, said, rtol=TOLERANCE, atol=TOLERANCE, check_dtype=False)


def _manifest(model: ChurnModel, model_id: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    parameters = model.get_params()
    return {
        "schema": SCHEMA,
        "model_id": model_id,
        "parameters": {**parameters, "threads": 0},
        "clock": asdict(model.clock_),
        "cutoffs": {
            **asdict(model.cutoffs_),
            "dates": [str(cutoff) for cutoff in model.cutoffs_],
            "until": str(model.cutoffs_.until),
        },
        "base_rate": model.base_rate_,
        "heads": list(model.heads_),
        "features": [_described(name) for name in model.feature_names_],
        "versions": {name: version(name) for name in ("lightgbm", "numpy", "pandas")},
        **facts,
    }


def _described(name: str) -> dict[str, str]:
    one = CATALOGUE[name]
    return {"name": name, "type": "float", "family": one.family, "unit": one.unit}


def _cutoffs(written: Mapping[str, Any]) -> Cutoffs:
    dates = tuple(date.fromisoformat(cutoff) for cutoff in written["dates"])
    until = date.fromisoformat(written["until"])
    return Cutoffs(**{**written, "dates": dates, "until": until})


def _write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
