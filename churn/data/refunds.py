"""Refunds at the door: what was paid back is taken off the amount of its order.

A refund is known as it stands today and not when it was made: an order that is refunded later
counts for less from its own day on. Where orders have `loaded_at`, each version has its own.
"""

from __future__ import annotations

from churn.data.contracts import Column
from churn.data.engines.base import Engine, identifier
from churn.data.notations.shapes import given_sql

__all__ = ["NET_AMOUNT", "REFUND", "count_refunds", "refund_sql"]

REFUND = Column("refund", "number")
NET_AMOUNT = "round(amount - abs(refund), 6)"
MOST = 0.5


def refund_sql(theirs: str, types: dict[str, str], cast: str) -> str:
    """The SQL of a refund that `cast` reads: 0 where the source says nothing, null where it cannot
    be read.
    """
    if theirs not in types:  # arithmetic, of which a part may be empty
        return f"coalesce({cast}, 0)"
    text = f"trim(CAST({identifier(theirs)} AS VARCHAR))"
    return f"CASE WHEN {text} IS NULL OR NOT {given_sql(text)} THEN 0 ELSE {cast} END"


def count_refunds(engine: Engine) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Notes and warnings of what the refunds, which still stand beside the orders, took off."""
    (row,) = engine.rows(
        "SELECT count(*) AS n, count(CASE WHEN refund <> 0 THEN 1 END) AS refunded, "
        "count(CASE WHEN refund <> 0 AND amount = 0 THEN 1 END) AS whole, "
        "count(CASE WHEN amount < 0 AND amount + abs(refund) > 0 THEN 1 END) AS over "
        "FROM orders"
    )
    rows, refunded, whole, over = (int(str(row[n])) for n in ("n", "refunded", "whole", "over"))
    note = f"{refunded:,} rows with a refund, {whole:,} of them refunded in full"
    warnings = []
    if over:
        warnings.append(f"{over:,} refunds are larger than their amount, and count as returns")
    if whole > MOST * rows:
        warnings.append(
            f"{whole:,} of {rows:,} rows are refunded in full: does [data.orders.columns] refund "
            "name the right column?"
        )
    return (note,) if refunded else (), tuple(warnings)
