"""Who wrote this bundle: a keyed signature over the manifest, which holds every file's hash.

Hashes tell of damage; whoever edits a file can write its new hash as well. A signature needs a key
that they do not have. It does not protect the pointer `champion`: who can write the folder may
still choose among the models that were signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from churn.errors import ConfigError, ModelError
from churn.files.hashes import canonical_json

__all__ = ["LEAST_KEY_LENGTH", "check_signature", "signed"]

SIGNATURE = "signature"
ALGORITHM = "hmac-sha256"
LEAST_KEY_LENGTH = 32


def signed(manifest: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    """The manifest with its signature by that key; as it is without a key.

    HMAC-SHA256 (RFC 2104) over the canonical JSON of everything else in it.
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
    """Nothing, or ModelError when a key is given and the manifest of `name` is not signed by it.

    The comparison takes the same time wherever the first difference is. `what` it is of and how
    it is made `again` are what errors speak of.
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
        rule = f"the {what} {name!r} must be signed with the key that is set"
        fix = f"It was altered, or signed with another key: restore it, or {again}."
        raise ModelError(rule, got="another signature", fix=fix)


def _code(bare: Mapping[str, Any], key: str) -> str:
    if len(key) < LEAST_KEY_LENGTH:
        rule = f"a signing key must have at least {LEAST_KEY_LENGTH} characters"
        fix = "Make one with `openssl rand -hex 32`."
        raise ConfigError(rule, got=f"{len(key)}", fix=fix)
    return hmac.new(key.encode(), canonical_json(dict(bare)), hashlib.sha256).hexdigest()
