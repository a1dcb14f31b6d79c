"""Learnt effects as a folder of plain texts: `effects/<id>/`, each file hash-checked.

`manifest.json` holds what is known of each offer and the SHA-256 of the trees, which nothing
parses before its hash is right. The pointer `current` names the folder in use. Where a key is set
the manifest is signed with it, as those of models are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.errors import ConfigError, ModelError
from churn.files.manifests import hash_files, verify_files
from churn.files.names import check_name, inside
from churn.files.publish import publish_directory, read_pointer, swap_pointer
from churn.modeling.signing import check_signature, signed
from churn.retention.learning.learnt import KnownEffect, LearntEffects

__all__ = ["CURRENT", "current_effects", "load_effects", "save_effects"]

CURRENT = "current"
SCHEMA = 1
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def save_effects(
    effects: LearntEffects,
    directory: Path,
    *,
    effects_id: str,
    facts: Mapping[str, Any],
    signing_key: str | None = None,
) -> Path:
    """The folder `directory`/`effects_id`, complete or absent, which `current` then names.

    `facts` go into the manifest beside what the effects say of themselves; a key signs it.
    """
    target = directory / check_name(effects_id, what="effects_id")
    with publish_directory(target) as folder:
        (folder / "trees").mkdir()
        for name, one in effects.known.items():
            if one.text is not None:
                path = folder / "trees" / f"{check_name(name, what='offer_id')}.txt"
                path.write_text(one.text, encoding="utf-8")
        manifest = {
            **facts,
            "schema": SCHEMA,
            "effects_id": effects_id,
            "horizon_days": effects.horizon_days,
            "features": list(effects.feature_names),
            "offers": {name: one.to_dict() for name, one in effects.known.items()},
            "files": hash_files(folder),
        }
        shown = signed(manifest, signing_key)
        text = json.dumps(shown, indent=1, sort_keys=True, allow_nan=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
    swap_pointer(directory / CURRENT, effects_id)
    return target


def current_effects(directory: Path, *, signing_key: str | None = None) -> LearntEffects | None:
    """What the pointer `current` of a directory names; None where nothing was ever learnt.

    With a key it has to be signed by it.
    """
    named = read_pointer(directory / CURRENT)
    if named is None:
        return None
    try:
        folder = inside(directory, check_name(named, what="effects_id"))
    except ConfigError:
        rule = f"the pointer {CURRENT!r} must name learnt effects"
        raise ModelError(rule, fix="Run `churn effects` again.") from None
    return load_effects(folder, signing_key=signing_key)


def load_effects(folder: Path, *, signing_key: str | None = None) -> LearntEffects:
    """The effects of a folder; ModelError where a file is missing, altered or not its own, or a
    key is given that the manifest is not signed with.
    """
    try:
        manifest = json.loads(inside(folder, "manifest.json").read_text(encoding="utf-8"))
        known, hashes = manifest["schema"], dict(manifest["files"])
    except UNREADABLE:
        raise _not_whole(folder) from None
    if known != SCHEMA:
        rule = f"this release reads learnt effects of schema {SCHEMA}"
        raise ModelError(rule, got=known, fix="Run `churn effects` again.")
    what = {"what": "learnt effects", "again": "run `churn effects` again"}
    check_signature(manifest, signing_key, name=folder.name, **what)
    verify_files(folder, hashes)
    try:
        return LearntEffects(
            known={
                name: KnownEffect.from_dict(name, said, _trees(folder, name))
                for name, said in manifest["offers"].items()
            },
            feature_names=tuple(manifest["features"]),
            horizon_days=int(manifest["horizon_days"]),
        )
    except (ConfigError, *UNREADABLE):
        raise _not_whole(folder) from None


def _trees(folder: Path, offer_id: str) -> str | None:
    path = inside(folder, f"trees/{check_name(offer_id, what='offer_id')}.txt")
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _not_whole(folder: Path) -> ModelError:
    rule = f"the learnt effects {folder.name!r} must have a whole manifest.json"
    return ModelError(rule, fix="Run `churn effects` again.")
