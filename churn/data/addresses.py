"""Where customers can be reached, as the shop's list says now: an attribute without a time."""

from __future__ import annotations

import pyarrow as pa

from churn.data.tables import Tables
from churn.errors import DataError

__all__ = ["addresses"]


def addresses(tables: Tables) -> pa.Table:
    """customer_id, email, phone: one row per listed customer, null where nothing is known.

    The list may say a thing twice of one customer; any one of its words is taken. DataError where
    no list is connected, or it has neither column.
    """
    columns = tables.columns("customers") if tables.has("customers") else []
    known = [name for name in ("email", "phone") if name in columns]
    if not known:
        rule = "whom to reach needs the column email or phone of the table 'customers'"
        raise DataError(rule, got=columns or "no such table", fix="Connect [data.customers].")
    email, phone = (
        f"nullif({name}, '')" if name in known else "CAST(NULL AS STRING)"
        for name in ("email", "phone")
    )
    return tables.engine.query(
        f"SELECT customer_id, min({email}) AS email, min({phone}) AS phone"
        " FROM customers GROUP BY customer_id ORDER BY customer_id"
    )
