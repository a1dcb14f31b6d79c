"""The key with which erased customers are hashed: a setting, else a file next to the ledger.

Anyone with the key and the ledger can test names; so the file is readable by its owner only, and
must not be shared. Without it the list of erased customers recognises nobody.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from churn.errors import ConfigError
from churn.storage.os_errors import storage_errors
from churn.storage.publish import publish_file

KEY_VARIABLE = "CHURN_PRIVACY_KEY"
LEAST_KEY_LENGTH = 32


def key_beside(ledger_path: Path) -> Path:
    """The path of the generated key."""
    return ledger_path.with_name("erasure.key")


def stored_key(ledger_path: Path, given: str | None) -> bytes | None:
    """The given key, else the one in the file; None if there is neither."""
    if given is not None:
        return _long_enough(given, what="[privacy] key")
    path = key_beside(ledger_path)
    with storage_errors(path, doing="read"):
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
    return _long_enough(text, what=f"the key in {path.name}")


def made_key(ledger_path: Path, given: str | None) -> bytes:
    """The same, generated if there is none: 256 random bits, readable by the file's owner."""
    found = stored_key(ledger_path, given)
    if found is not None:
        return found
    text = secrets.token_hex(32)
    with publish_file(key_beside(ledger_path)) as temporary:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="ascii") as file:
            file.write(f"{text}\n")
    return text.encode()


def _long_enough(text: str, *, what: str) -> bytes:
    if len(text) < LEAST_KEY_LENGTH:
        rule = f"{what} must have at least {LEAST_KEY_LENGTH} characters"
        fix = "Make one with `openssl rand -hex 32`; keep it for as long as the ledger."
        raise ConfigError(rule, got=f"{len(text)}", fix=fix)
    return text.encode()
