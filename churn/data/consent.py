"""What customers agreed to, and whom the shop has contacted, as known at a point in time."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.tables import Snapshot, Tables

__all__ = ["consent_state", "consent_to_send", "earlier_contacts", "known_before", "objectors"]


def consent_state(snapshot: Snapshot) -> pa.Table | None:
    """customer_id, channel, purpose, granted: the last word before `as_of`; None: no such table.

    Of two words at the same moment the refusal holds.
    """
    if not snapshot.tables.has("consents"):
        return None
    return _last_words(snapshot.tables, known_before(snapshot, "consents"))


def consent_to_send(snapshot: Snapshot) -> pa.Table | None:
    """The same, with every refusal that is the last word in the table, whenever it was said.

    Sending cannot be undone: a consent has to be older than `as_of`, a refusal need not be. So a
    customer may stand here with both, and the refusal counts.
    """
    state = consent_state(snapshot)
    if state is None:
        return None
    latest = _last_words(snapshot.tables, "granted IS NOT NULL")
    return pa.concat_tables([state, latest.filter(pc.invert(latest["granted"]))])


def _last_words(tables: Tables, condition: str) -> pa.Table:
    """The last word of each customer, channel and purpose among the rows that fulfil it."""
    return tables.engine.query(
        "SELECT customer_id, channel, purpose, bool_and(granted) AS granted FROM ("
        "  SELECT *, rank() OVER ("
        "    PARTITION BY customer_id, channel, purpose ORDER BY day DESC) AS place"
        f"  FROM consents WHERE {condition}"
        ") WHERE place = 1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )


def objectors(snapshot: Snapshot) -> set[str]:
    """Customers whose last word on profiling, on any channel, is a refusal: never scored."""
    state = consent_state(snapshot)
    if state is None:
        return set()
    rows = state.to_pylist()
    return {r["customer_id"] for r in rows if r["purpose"] == "profiling" and not r["granted"]}


def earlier_contacts(snapshot: Snapshot) -> pa.Table | None:
    """customer_id, offer_id, days_since: contacts before `as_of`, controls and holdouts aside."""
    tables = snapshot.tables
    if not tables.has("contacts"):
        return None
    columns = tables.columns("contacts")
    offer = "offer_id" if "offer_id" in columns else "CAST(NULL AS STRING)"
    treated = (
        " AND coalesce(arm, 'treatment') NOT IN ('control', 'holdout')" if "arm" in columns else ""
    )
    return tables.engine.query(
        f"SELECT customer_id, {offer} AS offer_id, {snapshot.instant!r} - day AS days_since "
        f"FROM contacts WHERE {known_before(snapshot, 'contacts')}{treated} ORDER BY 1, 2, 3"
    )


def known_before(snapshot: Snapshot, table: str) -> str:
    """The SQL condition that a row happened, and arrived, strictly before the snapshot."""
    instant = repr(snapshot.instant)
    arrived = "loaded_day" in snapshot.tables.columns(table)
    return f"day < {instant}" + (f" AND loaded_day < {instant}" if arrived else "")
