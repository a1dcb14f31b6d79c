"""What customers agreed to, and whom the shop has contacted, as known at a point in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.days import instant_of
from churn.data.tables import Snapshot, Tables
from churn.files.withdrawals import Withdrawal

__all__ = [
    "consent_state",
    "consent_to_plan",
    "consent_to_send",
    "earlier_contacts",
    "known_before",
    "last_words",
    "objectors",
    "plain_word",
    "standing_objectors",
    "withdrawn_words",
]

Known = Callable[[str], str]
END_OF_TIME = date(9000, 1, 1)
MARKETING = "marketing"
MAIL = "email"
"""The channel that an `unsubscribe` closes whose event names none."""

_WITHDRAWN = pa.schema(
    [("customer_id", pa.string()), ("channel", pa.string()), ("day", pa.float64())]
)
_KEYS = ("customer_id", "channel", "purpose")


def consent_state(snapshot: Snapshot, *, withdrawn: pa.Table | None = None) -> pa.Table | None:
    """customer_id, channel, purpose, granted: the last word before `as_of`; None: no such tables.

    Words are the rows of `consents` and, as refusals of marketing, events of the type `unsubscribe`
    and what was `withdrawn` (see `withdrawn_words`). Of two words at the same moment the refusal
    holds. Channels and purposes are compared in lower case, without space around them.
    """
    return _last_said(snapshot, withdrawn, lambda table: known_before(snapshot, table))


def consent_to_plan(snapshot: Snapshot, *, withdrawn: pa.Table | None = None) -> pa.Table | None:
    """The same, with every refusal on a channel that the customer withdrew from here, where it is
    the last word of all, whenever it was told.

    What an export would not send is not worth budget. The shop's own words stay those of `as_of`.
    """
    state = consent_state(snapshot, withdrawn=withdrawn)
    ever = _last_said(snapshot, withdrawn, lambda _: "day IS NOT NULL")
    if withdrawn is None or state is None or ever is None:
        return state
    here = set(_pairs(withdrawn))
    refused = ever.filter(pc.and_(pc.equal(ever["purpose"], MARKETING), pc.invert(ever["granted"])))
    mine = pa.array([pair in here for pair in _pairs(refused)], pa.bool_())
    return pa.concat_tables([state, refused.filter(mine)])


def consent_to_send(snapshot: Snapshot, *, withdrawn: pa.Table | None = None) -> pa.Table | None:
    """The same, with every refusal that is the last word before `as_of`, or the last of all,
    whenever it arrived.

    Sending cannot be undone: a consent has to be older than `as_of`, a refusal need not be. So a
    customer may stand here with both, and the refusal counts.
    """
    state = consent_state(snapshot, withdrawn=withdrawn)
    if state is None:
        return None
    happened = _last_said(snapshot, withdrawn, lambda _: f"day < {snapshot.instant!r}")
    ever = _last_said(snapshot, withdrawn, lambda _: "day IS NOT NULL")
    later = [words.filter(pc.invert(words["granted"])) for words in (happened, ever) if words]
    return pa.concat_tables([state, *later])


def withdrawn_words(withdrawals: Iterable[Withdrawal]) -> pa.Table | None:
    """customer_id, channel, day: each withdrawal as it was told first and last; None: none was.

    Told again, it holds against a consent that was given in between.
    """
    rows = [
        (one.customer_id, one.channel, instant_of(at))
        for one in withdrawals
        for at in sorted({one.withdrawn_at, one.again_at})
    ]
    if not rows:
        return None
    columns = zip(_WITHDRAWN.names, zip(*rows, strict=True), strict=True)
    return pa.table(dict(columns), schema=_WITHDRAWN)


def plain_word(column: str) -> str:
    """The SQL of a text in lower case, without space around it."""
    return f"lower(trim({column}))"


def last_words(tables: Tables, rows: str, *, keys: Sequence[str], shown: str) -> pa.Table:
    """The last of the rows (a query with `day`) of each combination of keys; of rows at the same
    moment, what the aggregates in `shown` make of them.
    """
    listed = ", ".join(keys)
    return tables.engine.query(
        f"SELECT {listed}, {shown} FROM (SELECT *, rank() OVER ("
        f"PARTITION BY {listed} ORDER BY day DESC) AS place FROM ({rows}) AS said"
        f") AS ranked WHERE place = 1 GROUP BY {listed} ORDER BY {listed}"
    )


def _last_said(snapshot: Snapshot, withdrawn: pa.Table | None, known: Known) -> pa.Table | None:
    """The last word of each customer, channel and purpose among the rows that are known."""
    tables = snapshot.tables
    sources = []
    if tables.has("consents"):
        channel, purpose = plain_word("channel"), plain_word("purpose")
        said = f"customer_id, {channel} AS channel, {purpose} AS purpose, granted, day"
        sources.append(f"SELECT {said} FROM consents WHERE {known('consents')}")
    if tables.has("events"):
        sources.append(_unsubscribed(tables.columns("events"), known("events")))
    if withdrawn is not None:
        told = tables.engine.accept(withdrawn)
        sources.append(f"SELECT {_refused('channel')} FROM {told} WHERE {known(told)}")
    if not sources:
        return None
    rows = " UNION ALL ".join(sources)
    return last_words(tables, rows, keys=_KEYS, shown="bool_and(granted) AS granted")


def _pairs(words: pa.Table) -> Iterator[tuple[str, str]]:
    """Customer and channel of each row."""
    return zip(words["customer_id"].to_pylist(), words["channel"].to_pylist(), strict=True)


def _unsubscribed(columns: Sequence[str], known: str) -> str:
    """The SQL of refusals in `events`."""
    named = f"nullif({plain_word('channel')}, '')" if "channel" in columns else "NULL"
    channel = f"coalesce({named}, '{MAIL}')"
    left = f"{plain_word('event_type')} = 'unsubscribe'"
    return f"SELECT {_refused(channel)} FROM events WHERE {left} AND {known}"


def _refused(channel: str) -> str:
    return f"customer_id, {channel} AS channel, '{MARKETING}' AS purpose, false AS granted, day"


def objectors(snapshot: Snapshot) -> set[str]:
    """Customers whose last word on profiling, on any channel, is a refusal: never scored."""
    if not snapshot.tables.has("consents"):
        return set()
    asked = f"{plain_word('purpose')} = 'profiling' AND {known_before(snapshot, 'consents')}"
    said = f"SELECT customer_id, {plain_word('channel')} AS channel, granted, day FROM consents"
    state = last_words(
        snapshot.tables,
        f"{said} WHERE {asked}",
        keys=_KEYS[:2],
        shown="bool_and(granted) AS granted",
    )
    return set(state.filter(pc.invert(state["granted"]))["customer_id"].to_pylist())


def standing_objectors(tables: Tables) -> set[str]:
    """The same by all that the tables hold: whose last word is a refusal, whenever it was said.

    Nothing is learnt from them, not even of the time before they objected.
    """
    return objectors(tables.as_of(END_OF_TIME))


def earlier_contacts(snapshot: Snapshot) -> pa.Table | None:
    """customer_id, offer_id, days_since, campaign_id: contacts before `as_of`, controls and
    holdouts aside.
    """
    tables = snapshot.tables
    if not tables.has("contacts"):
        return None
    columns = tables.columns("contacts")
    offer = "offer_id" if "offer_id" in columns else "CAST(NULL AS STRING)"
    treated = (
        " AND coalesce(arm, 'treatment') NOT IN ('control', 'holdout')" if "arm" in columns else ""
    )
    return tables.engine.query(
        f"SELECT customer_id, {offer} AS offer_id, {snapshot.instant!r} - day AS days_since, "
        f"campaign_id FROM contacts WHERE {known_before(snapshot, 'contacts')}{treated} "
        "ORDER BY 1, 2, 3, 4"
    )


def known_before(snapshot: Snapshot, table: str) -> str:
    """The SQL condition that a row happened, and arrived, strictly before the snapshot."""
    instant = repr(snapshot.instant)
    arrived = "loaded_day" in snapshot.tables.engine.columns(table)
    return f"day < {instant}" + (f" AND loaded_day < {instant}" if arrived else "")
