"""Cancelled invoices: an order that a cancellation of the same day takes back is no purchase.

Online Retail and many tills write a cancellation as an invoice of its own, whose number begins with
C and whose amount is the other's, below zero. Of one customer and day the two are taken out
together. Cutoffs lie between days, so none of them has seen the one without the other. A
cancellation of a later day stays the return of its own day, for until then it was a purchase.
"""

from __future__ import annotations

from dataclasses import replace

from churn.data.audit import TableAudit
from churn.data.engines.base import Engine

__all__ = ["CANCELLED", "without_cancelled"]

CANCELLED = "of orders cancelled on the same day"
PAIRS = "cancelled_orders"
CANCELS = "amount < 0 AND upper(substr(order_id, 1, 1)) = 'C' AND substr(order_id, 2, 1) <= '9'"


def without_cancelled(engine: Engine, audit: TableAudit, *, lines: bool) -> TableAudit:
    """`orders` (and, of a file of `lines`, `order_lines`) without orders that were cancelled on
    their own day, and without what cancelled them; the audit counts the rows.

    Orders with a `loaded_at` stay as they are: their versions say what was known when.
    """
    if "loaded_day" in engine.columns("orders") or not _count(engine, "orders", CANCELS):
        return audit
    engine.create(PAIRS, _pairs_sql())
    there = f"order_id IN (SELECT order_id FROM {PAIRS})"
    rows = _count(engine, "order_lines" if lines else "orders", there)
    for table in ("orders", "order_lines") if lines else ("orders",):
        engine.create(table, f"SELECT * FROM {table} WHERE NOT ({there})")
    dropped = {**audit.dropped, CANCELLED: rows} if rows else audit.dropped
    return replace(audit, dropped=dropped, notes=(*audit.notes, *_later(engine)))


def _pairs_sql() -> str:
    """The numbers of cancelled orders and of their cancellations: the first of each, and so on."""
    size = "CAST(round(abs(amount) * 1e6) AS DECIMAL(38, 0))"
    days = f"SELECT DISTINCT customer_id, local_day, {size} AS size FROM orders WHERE {CANCELS}"
    numbered = (
        "SELECT order_id, customer_id, local_day, day, size, amount < 0 AS back, row_number() OVER "
        "(PARTITION BY customer_id, local_day, size, amount < 0 ORDER BY day, order_id) AS place "
        f"FROM (SELECT *, {size} AS size FROM orders WHERE amount > 0 OR ({CANCELS})) AS sized"
    )
    pairs = (
        "SELECT bought.order_id AS bought_id, cancelled.order_id AS cancelled_id FROM numbered "
        "AS bought JOIN numbered AS cancelled ON NOT bought.back AND cancelled.back "
        "AND bought.customer_id = cancelled.customer_id AND bought.local_day = cancelled.local_day "
        "AND bought.size = cancelled.size AND bought.place = cancelled.place "
        "AND bought.day <= cancelled.day JOIN days ON bought.customer_id = days.customer_id "
        "AND bought.local_day = days.local_day AND bought.size = days.size"
    )
    return (
        f"WITH days AS ({days}), numbered AS ({numbered}), pairs AS ({pairs}) "
        "SELECT bought_id AS order_id FROM pairs UNION ALL SELECT cancelled_id FROM pairs"
    )


def _later(engine: Engine) -> tuple[str, ...]:
    left = _count(engine, "orders", CANCELS)
    if not left:
        return ()
    return (
        f"{left:,} orders whose number begins with C take back something of an earlier day, or a "
        "part of an order: they count as returns of their own day",
    )


def _count(engine: Engine, table: str, where: str) -> int:
    return int(str(engine.rows(f"SELECT count(*) AS n FROM {table} WHERE {where}")[0]["n"]))
