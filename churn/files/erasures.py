"""Who was erased: a keyed hash of each customer, by which an import knows them and nobody else.

HMAC-SHA256 (RFC 2104) of the exact UTF-8 of the customer_id. Beside the hashes lies a check value
of the key, for under another key nobody would be known again.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from churn.errors import ConfigError
from churn.files.erasure_key import KEY_VARIABLE, stored_key
from churn.files.ledger import Ledger
from churn.files.ledger_file import check_kept

__all__ = ["Erased", "read_erased", "record_erased"]

Rows = list[tuple[str, str]]
CHECKED = b"\0the key of the erased"  # no customer is called so: a NUL is refused in ids


@dataclass(frozen=True)
class Erased:
    """The hashes of the erased with the dates of their erasure, and the key that made them.

    A customer is known by the id as it is written and by its `canonical` form, in which ids are
    compared.

    >>> erased = Erased(b"k" * 32, {hashed(b"k" * 32, "anna"): date(2024, 5, 1)})
    >>> erased.among(["anna", "ben"]), erased.date_of("anna"), erased.date_of("ben")
    (['anna'], datetime.date(2024, 5, 1), None)
    """

    key: bytes = field(repr=False)
    dates: Mapping[bytes, date] = field(repr=False)
    canonical: Callable[[str], str] = field(default=str, repr=False)

    def __len__(self) -> int:
        return len(self.dates)

    def among(self, customer_ids: Iterable[str]) -> list[str]:
        """Those of the customers who were erased, in their order."""
        return [name for name in customer_ids if self.date_of(name) is not None]

    def date_of(self, customer_id: str) -> date | None:
        """When the customer was erased; None where they were not."""
        found = self.dates.get(hashed(self.key, customer_id))
        plain = self.canonical(customer_id)
        if found is not None or plain == customer_id:
            return found
        return self.dates.get(hashed(self.key, plain))


def hashed(key: bytes, customer_id: str) -> bytes:
    """The keyed hash of a customer, 32 bytes."""
    return hmac.digest(key, customer_id.encode("utf-8", "surrogateescape"), "sha256")


def read_erased(
    ledger_path: Path, given: str | None, *, canonical: Callable[[str], str] = str
) -> Erased | None:
    """The erased on record in a ledger; None where there is no ledger, or nobody was erased.

    `given` is the key of the settings, else the file beside the ledger holds it. ConfigError where
    it is missing, or is not the key that the erased were hashed with; StorageError where the list
    itself is lost.
    """
    check_kept(ledger_path)
    if not ledger_path.exists():
        return None
    with Ledger(ledger_path) as ledger:
        rows, check = _on_record(ledger)
    if not rows:
        return None
    erased = _erased(rows, check, stored_key(ledger_path, given))
    return replace(erased, canonical=canonical)


def record_erased(
    ledger: Ledger, key: bytes, customer_ids: Iterable[str], *, on: date
) -> tuple[Erased, int]:
    """Everyone erased so far with those customers, and how many of them are new.

    Who was erased before keeps that date.
    """
    rows = [(hashed(key, name).hex(), on.isoformat()) for name in customer_ids]
    with ledger.changing() as connection:
        _check_key(connection.execute("SELECT check_value FROM erasure_key").fetchone(), key)
        connection.execute("INSERT OR IGNORE INTO erasure_key VALUES (1, ?)", (_check(key),))
        new = connection.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?)", rows).rowcount
    return _erased(*_on_record(ledger), key), max(new, 0)


def _on_record(ledger: Ledger) -> tuple[Rows, tuple[str] | None]:
    with ledger.reading() as connection:
        rows = connection.execute("SELECT hash, erased_on FROM erased").fetchall()
        return rows, connection.execute("SELECT check_value FROM erasure_key").fetchone()


def _erased(rows: Rows, check: tuple[str] | None, key: bytes | None) -> Erased:
    if key is None:
        rule = "the list of the erased can be read with its key alone, which is missing"
        fix = f"Put erasure.key back beside the ledger, or set {KEY_VARIABLE}."
        raise ConfigError(rule, fix=fix)
    _check_key(check, key)
    return Erased(key, {bytes.fromhex(code): date.fromisoformat(day) for code, day in rows})


def _check(key: bytes) -> str:
    return hmac.digest(key, CHECKED, "sha256").hex()


def _check_key(check: tuple[str] | None, key: bytes) -> None:
    """Nothing, or ConfigError where the erased were hashed with another key."""
    if check is not None and not hmac.compare_digest(check[0], _check(key)):
        rule = "the key of the erased must be the one that they were hashed with"
        fix = f"Put the erasure.key of this ledger back, or its key into {KEY_VARIABLE}."
        raise ConfigError(rule, got="another", fix=fix)
