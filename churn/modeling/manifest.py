"""Manifests of models and their signatures, read without the libraries needed for prediction."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.errors import ConfigError, ModelError, OutdatedModelError
from churn.storage.files import canonical_json, check_name, inside
from churn.storage.manifests import verify_files
from churn.storage.publish import read_pointer

SIGNATURE = "signature"
ALGORITHM = "hmac-sha256"
LEAST_KEY_LENGTH = 32

CHAMPION = "champion"
SCHEMA = 3
READABLE = frozenset({2, SCHEMA})
"""Bundles of schema 2 have no blend: their probabilities are those of the trees."""


def signed(manifest: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    """The manifest with its signature by that key; unchanged without a key.

    The signature is HMAC-SHA256 (RFC 2104) over the canonical JSON of everything else in it.
    """
    bare = {name: value for name, value in manifest.items() if name != SIGNATURE}
    if key is None:
        return bare
    return {**bare, SIGNATURE: {"algorithm": ALGORITHM, "value": _code(bare, key)}}


def check_signature(
    manifest: Mapping[str, Any],
    key: str | None,
    *,
    name: str,
    what: str = "model",
    again: str = "train again",
) -> None:
    """Raises ModelError if a key is given and the manifest of `name` is not signed by it.

    The comparison takes constant time. `what` and `again` (how to recreate it) are used in error
    messages.
    """
    if key is None:
        return
    given = manifest.get(SIGNATURE)
    given = given if isinstance(given, dict) else {}
    value = given.get("value")
    if not isinstance(value, str) or given.get("algorithm") != ALGORITHM:
        rule = f"the {what} {name!r} must be signed"
        fix = f"{again[0].upper()}{again[1:]} with the key set."
        raise ModelError(rule, got="no signature", fix=fix)
    bare = {key: inner for key, inner in manifest.items() if key != SIGNATURE}
    if not hmac.compare_digest(value.encode(), _code(bare, key).encode()):
        rule = f"the {what} {name!r} must be signed with the current key"
        fix = f"It was altered, or signed with another key: restore it, or {again}."
        raise ModelError(rule, got="another signature", fix=fix)


def _code(bare: Mapping[str, Any], key: str) -> str:
    if len(key) < LEAST_KEY_LENGTH:
        rule = f"a signing key must have at least {LEAST_KEY_LENGTH} characters"
        fix = "Create one with `openssl rand -hex 32`."
        raise ConfigError(rule, got=f"{len(key)}", fix=fix)
    return hmac.new(key.encode(), canonical_json(dict(bare)), hashlib.sha256).hexdigest()


def resolve_bundle(path: Path) -> Path:
    """The bundle's folder: `path` itself, or the target of a pointer such as `champion`."""
    if path.is_symlink():
        rule = f"the model {path.name!r} must not be a symbolic link"
        raise ModelError(rule, fix="Pass the folder.")
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
            f"{path.name!r} names a model that does not exist",
            got=named,
            fix="Promote one of `churn models` with `churn models promote ID`, or train again.",
        )
    return folder


def read_manifest(path: Path, *, signing_key: str | None = None) -> dict[str, Any]:
    """The manifest of a bundle, once every file has matched its hash.

    With a key, the manifest itself must be signed by it. Raises ModelError otherwise.
    """
    folder = resolve_bundle(path)
    manifest = read_unverified(folder)
    try:
        check_signature(manifest, signing_key, name=folder.name)
    except (ValueError, RecursionError):  # not JSON that could have been signed
        raise not_whole(folder) from None
    verify_files(folder, manifest["files"])
    return manifest


def read_unverified(folder: Path) -> dict[str, Any]:
    """The unverified manifest of a bundle: enough to list it, never to load it."""
    file = inside(folder, "manifest.json")
    try:
        manifest = dict(json.loads(file.read_text(encoding="utf-8")))
        known, manifest["files"] = manifest["schema"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise not_whole(folder) from None
    if known not in READABLE:
        rule = f"this release reads bundles of schema {' and '.join(map(str, sorted(READABLE)))}"
        fix = "Train again, or use the release that wrote it."
        raise OutdatedModelError(rule, got=known, fix=fix)
    return manifest


def gate_open(manifest: Mapping[str, Any]) -> bool:
    """Whether the model passed the gate when it was trained; a fallback model did not."""
    gate = manifest.get("gate", {})
    if "open" in gate:
        return bool(gate["open"])
    if gate.get("checks"):
        return all(check.get("passed") for check in gate["checks"])
    return bool(gate.get("promoted")) and gate.get("stand_in") is None


def judged_provisionally(manifest: Mapping[str, Any]) -> bool:
    """Whether the history was too short for the gate when the model was trained."""
    return bool(manifest.get("gate", {}).get("judged") == "provisionally")


def not_whole(folder: Path) -> ModelError:
    """The error for a folder that is not a bundle, or an incomplete one."""
    rule = f"the model {folder.name!r} must have a complete manifest.json"
    return ModelError(rule, fix="Restore the folder, or train again.")
