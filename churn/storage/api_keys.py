"""Keys of programs that use the HTTP API: shown once, kept as hashes, revocable."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from churn.errors import ConfigError
from churn.storage.database import Record
from churn.storage.ledger import Ledger

MARK = "churn"
"""What every key begins with, so that scanners for leaked secrets recognise it."""

SECRET_BYTES, PREFIX_BYTES = 32, 6
MAX_NAME = 64
_NOBODY = "0" * 64


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey(Record):
    """A key as the ledger knows it: `prefix` identifies it, `hash` is the SHA-256 of all of it."""

    prefix: str
    hash: str
    name: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def shown(self) -> dict[str, Any]:
        """What may be shown of it."""
        return {
            "prefix": self.prefix,
            "name": self.name,
            "created_at": _iso(self.created_at),
            "last_used_at": _iso(self.last_used_at),
            "revoked_at": _iso(self.revoked_at),
        }


def create_key(ledger: Ledger, name: str) -> str:
    """A new key, `churn_<prefix>_<secret>`; only its hash is kept, so it cannot be shown again."""
    _check_name(name)
    prefix = secrets.token_hex(PREFIX_BYTES)
    key = f"{MARK}_{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    with ledger.changing() as connection:
        connection.execute(
            "INSERT INTO api_keys (prefix, hash, name, created_at) VALUES (?, ?, ?, ?)",
            (prefix, _hash(key), name, ledger.moment()),
        )
    return key


def api_keys(ledger: Ledger) -> list[ApiKey]:
    """Every key, the oldest first, revoked ones included."""
    with ledger.reading() as connection:
        found = connection.execute(
            f"SELECT {ApiKey.columns()} FROM api_keys ORDER BY created_at, prefix"  # noqa: S608
        )
        return [ApiKey.from_row(row) for row in found]


def revoke_key(ledger: Ledger, prefix: str) -> bool:
    """Revokes the key; False if it was revoked before. ConfigError if there is none."""
    with ledger.changing() as connection:
        known = connection.execute("SELECT revoked_at FROM api_keys WHERE prefix = ?", (prefix,))
        row = known.fetchone()
        if row is None:
            fix = "`churn keys list` shows the prefixes."
            raise ConfigError("there is no key with that prefix", fix=fix)
        if row[0] is not None:
            return False
        connection.execute(
            "UPDATE api_keys SET revoked_at = ? WHERE prefix = ?", (ledger.moment(), prefix)
        )
    return True


def note_use(ledger: Ledger, prefixes: set[str]) -> None:
    """Records that these keys were used just now."""
    with ledger.changing() as connection:
        connection.executemany(
            "UPDATE api_keys SET last_used_at = ? WHERE prefix = ?",
            [(ledger.moment(), prefix) for prefix in sorted(prefixes)],
        )


def matching_key(keys: Mapping[str, ApiKey], given: str) -> ApiKey | None:
    """The key that was given, revoked or not; None if it is none of these.

    The comparison takes the same time for unknown prefixes and wrong secrets.
    """
    parts = given.split("_", 2)
    found = keys.get(parts[1]) if len(parts) == 3 else None
    stored = _NOBODY if found is None else found.hash
    is_same = hmac.compare_digest(stored, _hash(given))
    return found if is_same else None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        rule = f"the name of a key must be 1 to {MAX_NAME} printable characters"
        raise ConfigError(rule, fix='Name the program that uses it, e.g. "checkout".')


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
