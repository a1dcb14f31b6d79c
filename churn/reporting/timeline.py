"""What happened to each customer before a date, in one form: orders, returns, events, contacts,
messages and consents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from churn.data.consent import known_before, known_statement
from churn.data.people import known_orders
from churn.storage.messages import CONTACTED

if TYPE_CHECKING:
    import pyarrow as pa

    from churn.data.tables import Snapshot
    from churn.storage.ledger import Ledger

NOTHING = "CAST(NULL AS STRING)"
NO_AMOUNT = "CAST(NULL AS DOUBLE)"


def timeline(snapshot: Snapshot, ledger: Ledger) -> pa.RecordBatchReader:
    """customer_id, day (days since 1970-01-01 UTC), kind, what and amount of everything known
    before the snapshot, unordered, in batches.
    """
    import pyarrow as pa

    tables = snapshot.tables
    schema = pa.schema(
        [
            *(("customer_id", pa.string()), ("day", pa.float64())),
            *(("kind", pa.string()), ("what", pa.string()), ("amount", pa.float64())),
        ]
    )
    name = tables.new_name("timeline")
    tables.engine.create(name, " UNION ALL ".join(_selects(snapshot)))
    sent = _messages(snapshot, ledger, schema)  # read here: DuckDB calls from a thread of its own

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in tables.engine.batches(tables.engine.lazy(name)):
            yield batch.select(schema.names).cast(schema)
        yield from sent.to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _selects(snapshot: Snapshot) -> Iterator[str]:
    tables = snapshot.tables
    yield _orders(snapshot)
    if tables.has("events"):
        value = _column(snapshot, "events", "value", "DOUBLE")
        yield _select("events", "event", "event_type", value, known_before(snapshot, "events"))
    if tables.has("contacts"):
        offer = _column(snapshot, "contacts", "offer_id", "STRING")
        known = known_before(snapshot, "contacts")
        if "arm" in tables.columns("contacts"):
            known += " AND coalesce(arm, 'treatment') NOT IN ('control', 'holdout')"
        what = f"coalesce({offer}, campaign_id)"
        yield _select("contacts", "contact", what, NO_AMOUNT, known)
    if tables.has("redemptions"):
        offer = _column(snapshot, "redemptions", "offer_id", "STRING")
        code = _column(snapshot, "redemptions", "code", "STRING")
        campaign = _column(snapshot, "redemptions", "campaign_id", "STRING")
        what = f"concat('redemption ', coalesce({offer}, {code}, {campaign}, ''))"
        yield _select(
            "redemptions", "event", what, NO_AMOUNT, known_before(snapshot, "redemptions")
        )
    if tables.has("consents"):
        granted = "CASE WHEN granted THEN 'granted' ELSE 'refused' END"
        what = f"concat(channel, ' ', purpose, ': ', {granted})"
        known = known_statement(snapshot, "consents")
        yield _select("consents", "consent", what, NO_AMOUNT, f"{known} AND NOT undated")


def _orders(snapshot: Snapshot) -> str:
    channel = _column(snapshot, "orders", "channel", "STRING")
    kind = "CASE WHEN amount < 0 THEN 'return' ELSE 'order' END"
    return (
        f"SELECT customer_id, day, {kind} AS kind, {channel} AS what, "
        f"CAST(amount AS DOUBLE) AS amount FROM orders WHERE {known_orders(snapshot)}"
    )


def _select(table: str, kind: str, what: str, amount: str, known: str) -> str:
    return (
        f"SELECT customer_id, day, '{kind}' AS kind, {what} AS what, "
        f"{amount} AS amount FROM {table} WHERE {known}"
    )


def _column(snapshot: Snapshot, table: str, name: str, kind: str) -> str:
    """The column, or nothing if the shop's table lacks it."""
    found = name in snapshot.tables.columns(table)
    return f"CAST({name} AS {kind})" if found else f"CAST(NULL AS {kind})"


def _messages(snapshot: Snapshot, ledger: Ledger, schema: pa.Schema) -> pa.Table:
    """The messages that `churn send` sent, and may have sent."""
    import pyarrow as pa

    marks = ", ".join("?" * len(CONTACTED))
    with ledger.reading() as connection:
        rows = connection.execute(
            "SELECT customer_id, (julianday(at) - 2440587.5), offer_id FROM messages "
            f"WHERE state IN ({marks}) AND as_of < ?",
            (*CONTACTED, snapshot.as_of.isoformat()),
        ).fetchall()
    customers, days, offers = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "customer_id": pa.array(customers, pa.string()),
        "day": pa.array(days, pa.float64()),
        "kind": pa.repeat(pa.scalar("message"), len(rows)),
        "what": pa.array(offers, pa.string()),
        "amount": pa.nulls(len(rows), pa.float64()),
    }
    return pa.table(columns, schema=schema)
