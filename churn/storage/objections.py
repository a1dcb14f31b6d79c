"""Objections to profiling that were received here rather than by the shop."""

from __future__ import annotations

from churn.storage.ledger import Ledger


def record_objection(ledger: Ledger, customer_id: str, *, source: str) -> bool:
    """Returns whether it is new; of a repeated objection, the first moment is kept."""
    with ledger.changing() as connection:
        return bool(
            connection.execute(
                "INSERT OR IGNORE INTO objections VALUES (?, ?, ?)",
                (customer_id, ledger.moment(), source),
            ).rowcount
        )


def objections(ledger: Ledger) -> frozenset[str]:
    """Every customer with an objection on record."""
    with ledger.reading() as connection:
        found = connection.execute("SELECT customer_id FROM objections")
        return frozenset(customer_id for (customer_id,) in found)
