"""Refund columns, and cancelled invoices.

Online Retail and many tills write a cancellation as an invoice of its own, whose number begins
with C and whose amount is that of the order, negated. An order cancelled on the same day is removed
together with its cancellation: cutoffs are between days, so none has seen one without the other. A
later cancellation remains a return on its own day, because until then the order was a purchase.
"""

from __future__ import annotations

from dataclasses import replace

from churn.data.audit import TableAudit
from churn.data.contracts import Column
from churn.data.engines.base import Engine, identifier
from churn.data.notations.look import given_sql

REFUND = Column("refund", "number")
NET_AMOUNT = "round(amount - abs(refund), 6)"
MOST = 0.5

CANCELLED = "of orders cancelled on the same day"
PAIRS = "cancelled_orders"
CANCELS = "amount < 0 AND upper(substr(order_id, 1, 1)) = 'C' AND substr(order_id, 2, 1) <= '9'"


def refund_sql(theirs: str, types: dict[str, str], cast: str) -> str:
    """The SQL of a refund that `cast` reads: 0 if the source has no value, null if it is
    unreadable.
    """
    if theirs not in types:  # arithmetic, parts of which may be empty
        return f"coalesce({cast}, 0)"
    text = f"trim(CAST({identifier(theirs)} AS VARCHAR))"
    return f"CASE WHEN {text} IS NULL OR NOT {given_sql(text)} THEN 0 ELSE {cast} END"


def count_refunds(engine: Engine) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Notes and warnings about what the refunds, still a separate column, subtracted."""
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


def without_cancelled(engine: Engine, audit: TableAudit, *, lines: bool) -> TableAudit:
    """`orders` (and, for a file of `lines`, `order_lines`) without orders that were cancelled on
    the same day, and without their cancellations; the audit counts the rows.

    Orders with a `loaded_at` remain unchanged: their versions record what was known when.
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
    """The numbers of cancelled orders and their cancellations, paired in order of time."""
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
        f"{left:,} orders whose number begins with C cancel an order of an earlier day, or a "
        "part of one: they count as returns on their own day",
    )


def _count(engine: Engine, table: str, where: str) -> int:
    return int(str(engine.rows(f"SELECT count(*) AS n FROM {table} WHERE {where}")[0]["n"]))
