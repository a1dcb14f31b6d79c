"""`churn keys`: the keys of programs that use the HTTP API."""

from __future__ import annotations

from pathlib import Path

from churn.config import load_settings
from churn.results.job_result import JobResult, Table
from churn.storage.api_keys import api_keys, create_key, revoke_key
from churn.storage.ledger import Ledger
from churn.storage.ledger_file import check_kept

HEADER = ("prefix", "name", "created", "last used", "revoked")


def create_api_key(config: Path, name: str) -> JobResult:
    """A new key; the result is the only place that ever shows it."""
    with _ledger(config) as ledger:
        key = create_key(ledger, name)
    note = "store the key now: only its hash is kept, so it cannot be shown again"
    return JobResult(
        command="keys create",
        resolved={"key": key, "name": name},
        warnings=(note,),
        tables=(Table("New key", ("name", "key"), ((name, key),)),),
    )


def list_api_keys(config: Path) -> JobResult:
    """Every key with its name and dates, never the key itself."""
    with _ledger(config) as ledger:
        keys = [key.shown() for key in api_keys(ledger)]
    rows = tuple(tuple(_day(value) for value in key.values()) for key in keys)
    notes = () if keys else ("no keys yet: `churn keys create NAME` makes one",)
    return JobResult(
        command="keys list",
        resolved={"keys": keys},
        rows={"keys": len(keys)},
        warnings=notes,
        tables=(Table("Keys of the HTTP API", HEADER, rows),) if keys else (),
    )


def revoke_api_key(config: Path, prefix: str) -> JobResult:
    """Revokes a key; a running service refuses it within a second."""
    with _ledger(config) as ledger:
        new = revoke_key(ledger, prefix)
    notes = () if new else ("the key was revoked before",)
    return JobResult(command="keys revoke", resolved={"prefix": prefix}, warnings=notes)


def _ledger(config: Path) -> Ledger:
    path = load_settings(config).ledger_path
    check_kept(path)
    return Ledger(path)


def _day(value: str | None) -> str:
    return "" if value is None else value.replace("+00:00", "Z")
