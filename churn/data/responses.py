"""Responses to a campaign: contacts, redemptions, opens and unsubscriptions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from churn.data.consent import known_before
from churn.data.days import day_number
from churn.data.engines.base import literal
from churn.data.people import known_orders, order_amount_sql
from churn.data.tables import Snapshot

NOTED = ("campaign_id", "offer_id", "code")


@dataclass(frozen=True)
class Window:
    """The days of one campaign: from `opens` to before `closes`, in the day time zone."""

    campaign_id: str
    opens: date
    closes: date


def contacted(snapshot: Snapshot, window: Window) -> set[str] | None:
    """The customers actually contacted by the campaign; None if no contact is on record."""
    if not snapshot.tables.has("contacts"):
        return None
    found = snapshot.tables.engine.query(
        "SELECT DISTINCT customer_id FROM contacts "
        f"WHERE {_within(snapshot, 'contacts', window)} "
        f"AND campaign_id = {literal(window.campaign_id)}{_without_controls(snapshot)}"
    )
    return set(found["customer_id"].to_pylist()) or None


def redemptions(snapshot: Snapshot, window: Window) -> pa.Table | None:
    """Redemptions in the window, one row per customer and recorded campaign_id, offer_id and code
    (null if not recorded), `elsewhere` if contacts know the other campaign that is named, redeemed:
    their number; priced: how many had an order of the customer on the same day; order_amount: the
    sum of those orders' net amounts. None if there is no such table.
    """
    if not snapshot.tables.has("redemptions"):
        return None
    columns = snapshot.tables.columns("redemptions")
    noted = ", ".join(
        f"r.{name}" if name in columns else f"CAST(NULL AS STRING) AS {name}" for name in NOTED
    )
    bought = (
        f"SELECT customer_id, local_day, {order_amount_sql()} AS order_amount FROM orders "
        f"WHERE amount > 0 AND {known_orders(snapshot)} GROUP BY 1, 2"
    )
    found = snapshot.tables.engine.query(
        f"SELECT r.customer_id, {noted}, count(*) AS redeemed, count(o.order_amount) AS priced, "
        "coalesce(sum(o.order_amount), 0.0) AS order_amount "
        f"FROM (SELECT * FROM redemptions WHERE {_within(snapshot, 'redemptions', window)}) AS r "
        f"LEFT JOIN ({bought}) AS o ON o.customer_id = r.customer_id "
        "AND o.local_day = r.local_day GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    known = _campaigns(snapshot) - {window.campaign_id}
    elsewhere = [name in known for name in found["campaign_id"].to_pylist()]
    return found.append_column("elsewhere", pa.array(elsewhere, pa.bool_()))


def _campaigns(snapshot: Snapshot) -> set[str]:
    """The campaigns that contacts name."""
    if not snapshot.tables.has("contacts"):
        return set()
    found = snapshot.tables.engine.query("SELECT DISTINCT campaign_id FROM contacts")
    return set(found["campaign_id"].to_pylist())


def reactions(snapshot: Snapshot, window: Window) -> pa.Table | None:
    """customer_id, opened, unsubscribed: 1 or 0, for everyone with such an event in the window.

    Opens and clicks of another campaign do not count. None if there are no events.
    """
    if not snapshot.tables.has("events"):
        return None
    ours = _of_campaign(snapshot.tables.columns("events"), window)
    opened = f"event_type IN ('email_open', 'email_click'){ours}"
    return snapshot.tables.engine.query(
        f"SELECT customer_id, max(CASE WHEN {opened} THEN 1 ELSE 0 END) AS opened, "
        "max(CASE WHEN event_type = 'unsubscribe' THEN 1 ELSE 0 END) AS unsubscribed "
        f"FROM events WHERE {_within(snapshot, 'events', window)} "
        "AND event_type IN ('email_open', 'email_click', 'unsubscribe') GROUP BY 1 ORDER BY 1"
    )


def _within(snapshot: Snapshot, table: str, window: Window) -> str:
    opens, closes = day_number(window.opens), day_number(window.closes)
    known = known_before(snapshot, table)
    return f"{known} AND local_day >= {opens} AND local_day < {closes}"


def _of_campaign(columns: list[str], window: Window) -> str:
    if "campaign_id" not in columns:
        return ""
    return f" AND (campaign_id IS NULL OR campaign_id = {literal(window.campaign_id)})"


def _without_controls(snapshot: Snapshot) -> str:
    if "arm" not in snapshot.tables.columns("contacts"):
        return ""
    return " AND coalesce(arm, 'treatment') NOT IN ('control', 'holdout')"
