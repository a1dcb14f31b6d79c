"""Attributes of customers: birthday, language, contact addresses and mean order amount."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from churn.data.consent import known_before
from churn.data.days import zone
from churn.data.engines.base import identifier
from churn.data.tables import Snapshot, Tables
from churn.errors import ConfigError, DataError

GROUP_COLUMNS = ("region", "acquisition_source", "loyalty_tier")
COMPLAINT_DAYS = 14
TICKET_DAYS = 90


def people(
    snapshot: Snapshot, *, group_by: str | None = None, worklist: Collection[str] = ()
) -> pa.Table | None:
    """customer_id with birth_date and, if requested, group (a column of the customer list) and
    owed_service, also of those on the `worklist`; None if there is nobody and no list.

    These attributes have no time: they are as of now, not as of a date.
    """
    listed = _listed(snapshot, group_by)
    owed = owed_service(snapshot) | set(worklist)
    if listed is None and not owed:
        return None
    ids: list[str] = [] if listed is None else listed["customer_id"].to_pylist()
    more = sorted(owed - set(ids))
    columns: dict[str, pa.Array] = {
        "customer_id": pa.array([*ids, *more], pa.string()),
        "owed_service": pa.array([name in owed for name in ids] + [True] * len(more), pa.bool_()),
    }
    if listed is not None:
        for name in listed.column_names[1:]:
            values = [*listed[name].to_pylist(), *[None] * len(more)]
            columns[name] = pa.array(values, listed[name].type)
    return pa.table(columns)


def owed_service(snapshot: Snapshot) -> set[str]:
    """Customers with a complaint in the last 14 days, or with a ticket opened in the last 90 days
    and not closed since.
    """
    if not snapshot.tables.has("events"):
        return set()
    known = known_before(snapshot, "events")
    ref = "ref" if "ref" in snapshot.tables.columns("events") else "CAST(NULL AS STRING)"
    instant = snapshot.instant
    found = snapshot.tables.engine.query(
        "SELECT DISTINCT customer_id FROM events "
        f"WHERE {known} AND event_type = 'complaint' AND day >= {instant - COMPLAINT_DAYS!r} "
        "UNION SELECT customer_id FROM ("
        f"  SELECT customer_id, {ref} AS ticket,"
        "  max(CASE WHEN event_type = 'ticket_opened' THEN day END) AS opened,"
        "  max(CASE WHEN event_type = 'ticket_closed' THEN day END) AS closed"
        f"  FROM events WHERE {known} AND event_type IN ('ticket_opened', 'ticket_closed')"
        "  GROUP BY 1, 2"
        f") AS tickets WHERE opened >= {instant - TICKET_DAYS!r}"
        " AND (closed IS NULL OR closed < opened)"
    )
    return set(found["customer_id"].to_pylist())


def _listed(snapshot: Snapshot, group_by: str | None) -> pa.Table | None:
    """The customer list's own columns that a plan may use."""
    tables = snapshot.tables
    if group_by is not None and group_by not in GROUP_COLUMNS:
        rule = f"[offers.groups] by must be 'segment', 'status' or one of {list(GROUP_COLUMNS)}"
        raise ConfigError(rule, got=group_by, fix="Name one of them.")
    columns = tables.columns("customers") if tables.has("customers") else []
    if group_by is not None and group_by not in columns:
        rule = f"[offers.groups] by = {group_by!r} needs that column in [data.customers]"
        raise ConfigError(rule, got=columns, fix="Connect it, or group by segment.")
    if not columns:
        return None
    # The list may contain several values per customer; any one of them is taken.
    asked = {"born": "birth_date_day", "group": group_by}
    chosen = {ours: theirs for ours, theirs in asked.items() if theirs in columns}
    shown = "".join(f", min({identifier(str(c))}) AS {identifier(n)}" for n, c in chosen.items())
    found = tables.engine.query(f"SELECT customer_id{shown} FROM customers GROUP BY customer_id")
    if "born" not in chosen:
        return found
    written_in = zone(tables.settings.timezone)
    days = [_birth_date(day, written_in) for day in found["born"].to_pylist()]
    born = pa.array(days, pa.date32())
    return found.drop_columns("born").append_column("birth_date", born)


def _birth_date(day: float | None, written_in: ZoneInfo) -> date | None:
    """The date of a midnight in that zone, from days since 1970-01-01 UTC."""
    if day is None:
        return None
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    return instant.astimezone(written_in).date()


def addresses(tables: Tables) -> pa.Table:
    """customer_id, email, phone: one row per listed customer, null if unknown.

    The list may contain several values per customer; any one of them is taken. DataError if no list
    is connected, or it has neither column.
    """
    columns = tables.columns("customers") if tables.has("customers") else []
    known = [name for name in ("email", "phone") if name in columns]
    if not known:
        rule = "contacting customers requires the column email or phone in table 'customers'"
        raise DataError(rule, got=columns or "no such table", fix="Connect [data.customers].")
    email, phone = (
        f"nullif({name}, '')" if name in known else "CAST(NULL AS STRING)"
        for name in ("email", "phone")
    )
    return tables.engine.query(
        f"SELECT customer_id, min({email}) AS email, min({phone}) AS phone"
        " FROM customers GROUP BY customer_id ORDER BY customer_id"
    )


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
