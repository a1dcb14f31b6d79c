"""Rows of the ledger whose retention period has ended.

Never removed: withdrawals, erasures, memberships of holdouts and control groups, and contacts that
a cap or a cooldown still counts.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import date

from churn.storage.files import canonical_json
from churn.storage.ledger import Ledger
from churn.storage.records import TREATED


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The dates before which rows go: those of plans, contacts and messages."""

    plans: date
    contacts: date
    messages: date


def expired_rows(ledger: Ledger, limits: Limits) -> dict[str, int]:
    """The number of rows by table whose period has ended, without zeros."""
    with ledger.reading() as connection:
        counts = {
            name: connection.execute(f"SELECT count(*) FROM {rows}", values).fetchone()[0]  # noqa: S608
            for name, (rows, values) in _expired(limits).items()
        }
    return {name: count for name, count in counts.items() if count}


def remove_expired(
    ledger: Ledger, limits: Limits, *, run_id: str, facts: dict[str, object]
) -> None:
    """Removes those rows, and records the facts of the run with them, all or nothing.

    Removed data is overwritten, not only marked as free.
    """
    with ledger.reading() as connection:
        connection.execute("PRAGMA secure_delete = ON")
    with ledger.changing() as connection:
        for rows, values in _expired(limits).values():
            connection.execute(f"DELETE FROM {rows}", values)  # noqa: S608
        _without_rows(connection, limits)
        text = canonical_json(facts).decode()
        connection.execute("UPDATE runs SET facts = ? WHERE run_id = ?", (text, run_id))


def _expired(limits: Limits) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The rows by table, as SQL after FROM with its values."""
    plans, contacts = limits.plans.isoformat(), limits.contacts.isoformat()
    messages = limits.messages.isoformat()
    return {
        "plans": (
            f"plans WHERE (as_of < ? AND NOT ({TREATED})) OR (as_of < ? AND as_of < ?)",
            (plans, plans, contacts),
        ),
        "messages": ("messages WHERE as_of < ? AND at < ?", (min(contacts, messages), messages)),
        "code_holders": ("code_holders WHERE as_of < ? AND as_of < ?", (plans, contacts)),
        "decisions": ("decisions WHERE decided_at < ? AND decided_at < ?", (plans, contacts)),
        "steps": ("steps WHERE as_of < ?", (plans,)),
    }


def _without_rows(connection: sqlite3.Connection, limits: Limits) -> None:
    """Plans that lost rows are no longer plans on record that could be measured."""
    connection.execute("DELETE FROM planned WHERE as_of < ?", (limits.plans.isoformat(),))
