"""The mean order amount of each customer, as known at a point in time."""

from __future__ import annotations

import pyarrow as pa

from churn.data.consent import known_before
from churn.data.tables import Snapshot


def mean_order_amounts(snapshot: Snapshot) -> pa.Table:
    """customer_id, order_amount: the mean net amount of each customer's orders above 0 before the
    snapshot; customers without any have no row.
    """
    return snapshot.tables.engine.query(
        f"SELECT customer_id, {order_amount_sql()} AS order_amount FROM orders "
        f"WHERE amount > 0 AND {known_orders(snapshot)} GROUP BY 1 ORDER BY 1"
    )


def order_amount_sql() -> str:
    """The SQL of a group's mean amount, independent of the order of its rows."""
    return "CAST(sum(CAST(round(amount * 1e6) AS DECIMAL(38, 0))) AS DOUBLE) / 1e6 / count(*)"


def known_orders(snapshot: Snapshot) -> str:
    """The SQL condition for the version of an order that is known at the snapshot."""
    known = known_before(snapshot, "orders")
    if "superseded_day" not in snapshot.tables.engine.columns("orders"):
        return known
    return f"{known} AND (superseded_day IS NULL OR superseded_day >= {snapshot.instant!r})"
