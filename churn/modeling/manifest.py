"""What a bundle says of itself, read without the libraries that run it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.errors import ConfigError, ModelError, OutdatedModelError
from churn.files.manifests import verify_files
from churn.files.names import check_name, inside
from churn.files.publish import read_pointer
from churn.modeling.signing import check_signature

__all__ = [
    "CHAMPION",
    "SCHEMA",
    "gate_open",
    "not_whole",
    "read_manifest",
    "read_unverified",
    "resolve_bundle",
]

CHAMPION = "champion"
SCHEMA = 2


def resolve_bundle(path: Path) -> Path:
    """The bundle's folder: `path` itself, or the one that a pointer such as `champion` names."""
    if path.is_symlink():
        rule = f"the model {path.name!r} must not be a symbolic link"
        raise ModelError(rule, fix="Pass the folder itself.")
    if path.is_dir():
        return path
    named = read_pointer(path) if path.is_file() else None
    if named is None:
        raise ModelError(
            f"there is no model at {path.name!r} in {path.parent.name or '.'!r}",
            fix="Train one with `churn train`, or pass --model.",
        )
    try:
        folder = inside(path.parent, check_name(named, what="model name"))
    except ConfigError:
        rule = f"the pointer {path.name!r} must name a model"
        raise ModelError(rule, fix="Train again, or write a model's name into it.") from None
    if not folder.is_dir():
        raise ModelError(
            f"{path.name!r} names a model that is gone",
            got=named,
            fix="Promote one of `churn models` with `churn models promote ID`, or train again.",
        )
    return folder


def read_manifest(path: Path, *, signing_key: str | None = None) -> dict[str, Any]:
    """What a bundle says of itself, after every file in it matched its hash.

    With a key, the manifest itself must be signed by it. Raises ModelError otherwise.
    """
    folder = resolve_bundle(path)
    manifest = read_unverified(folder)
    try:
        check_signature(manifest, signing_key, name=folder.name)
    except (ValueError, RecursionError):  # no JSON that could have been signed
        raise not_whole(folder) from None
    verify_files(folder, manifest["files"])
    return manifest


def read_unverified(folder: Path) -> dict[str, Any]:
    """What a bundle claims of itself; enough to list it, never to load it."""
    file = inside(folder, "manifest.json")
    try:
        manifest = dict(json.loads(file.read_text(encoding="utf-8")))
        known, manifest["files"] = manifest["schema"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise not_whole(folder) from None
    if known != SCHEMA:
        rule = f"this release reads bundles of schema {SCHEMA}"
        fix = "Train again, or use the release that wrote it."
        raise OutdatedModelError(rule, got=known, fix=fix)
    return manifest


def gate_open(manifest: Mapping[str, Any]) -> bool:
    """Whether the gate passed the model at its training; a rule that stands in did not pass."""
    gate = manifest.get("gate", {})
    if "open" in gate:
        return bool(gate["open"])
    if gate.get("checks"):
        return all(check.get("passed") for check in gate["checks"])
    return bool(gate.get("promoted")) and gate.get("stand_in") is None


def not_whole(folder: Path) -> ModelError:
    """The error for a folder that is not a bundle, or not all of one."""
    rule = f"the model {folder.name!r} must have a whole manifest.json"
    return ModelError(rule, fix="Restore the folder, or train again.")
