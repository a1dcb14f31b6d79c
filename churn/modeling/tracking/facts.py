"""What MLflow is told of a model, all of it from the bundle's manifest.

So a training that found no server loses nothing: the bundle tells the same a week later.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from churn.modeling.manifest import gate_open

__all__ = ["ChildRun", "child_runs", "dataset_inputs", "metrics_of", "parameters_of", "tags_of"]

Manifest = Mapping[str, Any]
ChildRun = tuple[str, dict[str, str], dict[str, float]]
"""A child's name, parameters and metrics."""

LONGEST_PARAMETER = 500
LONGEST_DIGEST = 36


def parameters_of(manifest: Manifest) -> dict[str, str]:
    """The recipe, the lengths of time and the cutoffs, as texts that MLflow has room for."""
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
    """Every figure of the judgement: `model_roc_auc`, `bg_nbd_log_loss`, and, for a group of
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
    """One child a forward fold: texts of the fold are parameters, its numbers metrics."""
    runs: list[ChildRun] = []
    for fold in manifest.get("folds", ()):
        texts = dict(_texts(fold))
        name = f"fold {texts.get('cutoff', len(runs) + 1)}"
        runs.append((name, texts, dict(_numbers(fold))))
    return runs


def tags_of(manifest: Manifest) -> dict[str, str]:
    """By which a run is found again, and what the gate said."""
    gate = manifest.get("gate", {})
    return {
        "model_id": str(manifest["model_id"]),
        "created_at": str(manifest.get("created_at", "")),
        "gate": "open" if gate_open(manifest) else "closed",
        "gate_reasons": "; ".join(gate.get("reasons", ()))[:LONGEST_PARAMETER],
    }


def dataset_inputs(manifest: Manifest) -> list[Any]:
    """Lineage: what the model learnt from and what it was judged on, by fingerprint and cutoffs."""
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
    """The name in the letters that MLflow takes, and no path."""
    name = re.sub(r"[^\w\-. ]", "_", name)
    return name if name.strip(".") else "_" * len(name)
