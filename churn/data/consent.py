"""Consent and preferences as known at a snapshot: the latest statement of each customer."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.days import instant_of, moment_of
from churn.data.tables import Snapshot, Tables
from churn.data.unclear import LATER_GRANTS, UNSUBSCRIPTIONS
from churn.data.words import ALL, MARKETING, PROFILING, channel_of
from churn.storage.withdrawals import Withdrawal

Known = Callable[[str], str]
END_OF_TIME = date(9000, 1, 1)
EVERYWHERE = ""
"""In a state of consent, stands for every channel that the state does not list."""

_WITHDRAWN = pa.schema(
    [
        ("customer_id", pa.string()),
        ("channel", pa.string()),
        ("day", pa.float64()),
        ("undated", pa.bool_()),
    ]
)
_KEYS = ("customer_id", "channel", "purpose")
_STATE = pa.schema([*((name, pa.string()) for name in _KEYS), ("granted", pa.bool_())])

_GRANTS = (
    "SELECT customer_id, channel, day FROM consents WHERE granted "
    f"UNION ALL SELECT customer_id, channel, day FROM {LATER_GRANTS}"
)
CAP_DAYS = 28
"""The period, in days, of a `max_contacts` whose row names none."""
_LONGEST = 3650
_PREFERENCE_KEYS = ("customer_id", "channel", "kind")
_ALLOWED = "bool_and(allowed) AS allowed"
_LIMITS = "min(floor(max_contacts)) AS max_contacts, max(cap_days) AS cap_days"


def consent_state(snapshot: Snapshot, *, withdrawn: pa.Table | None = None) -> pa.Table | None:
    """customer_id, channel, purpose, granted: the latest statement before `as_of`; None if no table
    records consent.

    Statements are the rows of `consents` and, as refusals of marketing, the unsubscriptions among
    events and recorded withdrawals (see `withdrawal_statements`). Of two statements at the same
    moment the refusal counts. A refusal on the channel `EVERYWHERE` applies to each channel that
    has no row; a refusal without a date always counts. Purposes are "marketing", "profiling", and
    others that are never queried.
    """
    return _latest(snapshot, withdrawn, lambda table: known_statement(snapshot, table))


def consent_to_plan(snapshot: Snapshot, *, withdrawn: pa.Table | None = None) -> pa.Table | None:
    """The same, with every withdrawal recorded here, per channel, if it is the latest statement
    overall, whenever it was recorded.

    What an export would not send is not worth budget. The shop's own statements stay those of
    `as_of`.
    """
    state = _with_objections(snapshot, consent_state(snapshot, withdrawn=withdrawn))
    ever = _latest(snapshot, withdrawn, lambda _: "true")
    if withdrawn is None or state is None or ever is None:
        return state
    here = set(_pairs(withdrawn))
    refused = ever.filter(pc.and_(pc.equal(ever["purpose"], MARKETING), pc.invert(ever["granted"])))
    mine = pa.array([pair in here for pair in _pairs(refused)], pa.bool_())
    return pa.concat_tables([state, refused.filter(mine)])


def consent_to_send(snapshot: Snapshot, *, withdrawn: pa.Table | None = None) -> pa.Table | None:
    """The same, with every refusal that is the latest statement before `as_of`, or the latest of
    all, whenever it arrived.

    Sending cannot be undone: a consent has to be older than `as_of`, a refusal need not be. A
    customer may therefore have both here, and the refusal counts.
    """
    state = _with_objections(snapshot, consent_state(snapshot, withdrawn=withdrawn))
    if state is None:
        return None
    stated = f"(undated OR day < {snapshot.instant!r})"
    happened = _latest(snapshot, withdrawn, lambda _: stated)
    ever = _latest(snapshot, withdrawn, lambda _: "true")
    later = [
        statements.filter(pc.invert(statements["granted"]))
        for statements in (happened, ever)
        if statements
    ]
    return pa.concat_tables([state, *later])


def _with_objections(snapshot: Snapshot, state: pa.Table | None) -> pa.Table | None:
    """The state with the objections to profiling that were received elsewhere."""
    objecting = sorted(snapshot.tables.objecting)
    if not objecting:
        return state
    same = {"channel": EVERYWHERE, "purpose": PROFILING, "granted": False}
    rows = [{"customer_id": name, **same} for name in objecting]
    refused = pa.Table.from_pylist(rows, schema=_STATE if state is None else state.schema)
    return refused if state is None else pa.concat_tables([state, refused])


def withdrawal_statements(withdrawals: Iterable[Withdrawal]) -> pa.Table | None:
    """customer_id, channel, day, undated: the first and the last record of each withdrawal; None if
    there are none.

    A repeated withdrawal overrides a consent that was given in between. One recorded while the
    clock was in doubt has no date (see `Withdrawal.in_doubt`), so no consent is later.
    """
    rows = [
        (one.customer_id, channel_of(one.channel), day, one.in_doubt)
        for one in withdrawals
        for day in _recorded_on(one)
    ]
    if not rows:
        return None
    columns = zip(_WITHDRAWN.names, zip(*rows, strict=True), strict=True)
    return pa.table(dict(columns), schema=_WITHDRAWN)


def _recorded_on(one: Withdrawal) -> list[float]:
    if one.in_doubt:
        return [math.inf]
    return [instant_of(at) for at in sorted({one.withdrawn_at, one.again_at})]


def latest_statements(tables: Tables, rows: str, *, keys: Sequence[str], shown: str) -> pa.Table:
    """The latest of the rows (a query with `day`) for each combination of keys; rows at the same
    moment are combined by the aggregates in `shown`.
    """
    listed = ", ".join(keys)
    return tables.engine.query(
        f"{latest_statements_sql(rows, keys=keys, shown=shown)} ORDER BY {listed}"
    )


def latest_statements_sql(rows: str, *, keys: Sequence[str], shown: str) -> str:
    """The SQL of the same, unordered."""
    listed = ", ".join(keys)
    return (
        f"SELECT {listed}, {shown} FROM (SELECT *, rank() OVER ("
        f"PARTITION BY {listed} ORDER BY day DESC) AS place FROM ({rows}) AS stated"
        f") AS ranked WHERE place = 1 GROUP BY {listed}"
    )


def _latest(snapshot: Snapshot, withdrawn: pa.Table | None, known: Known) -> pa.Table | None:
    """The latest statement per customer, channel and purpose among the known rows."""
    tables = snapshot.tables
    sources = []
    if tables.has("consents"):
        sources.append(_consents(known("consents")))
    if tables.has("events"):
        sources.append(_refused(UNSUBSCRIPTIONS, known(UNSUBSCRIPTIONS)))
    if withdrawn is not None:
        recorded = tables.engine.accept(withdrawn)
        everywhere = f"(SELECT *, false AS everywhere FROM {recorded}) AS recorded"
        sources.append(_refused(everywhere, known(recorded)))
    if not sources:
        return None
    return tables.engine.query(_on_each_channel(_last(" UNION ALL ".join(sources))))


def _consents(known: str) -> str:
    """The SQL of the statements in `consents`; refusing every purpose refuses both that count."""
    stated = "SELECT customer_id, channel, {} AS purpose, granted, everywhere, day FROM consents"
    first = stated.format(f"CASE WHEN purpose = '{ALL}' THEN '{MARKETING}' ELSE purpose END")
    second = stated.format(f"'{PROFILING}'")
    return f"{first} WHERE {known} UNION ALL {second} WHERE purpose = '{ALL}' AND {known}"


def _refused(rows: str, known: str) -> str:
    """The SQL of refusals of marketing."""
    stated = f"customer_id, channel, '{MARKETING}' AS purpose, false AS granted, everywhere, day"
    return f"SELECT {stated} FROM {rows} WHERE {known}"


def _last(rows: str) -> str:
    """The SQL of the latest statement per key, with its day, and whether it refuses everywhere."""
    shown = "bool_and(granted) AS granted, bool_or(everywhere) AS everywhere, max(day) AS day"
    return latest_statements_sql(rows, keys=_KEYS, shown=shown)


def _on_each_channel(last: str) -> str:
    """The SQL of what applies per channel: a refusal of every channel overrides older ones."""
    listed = ", ".join(_KEYS)
    same = " AND ".join(f"stated.{key} = refused.{key}" for key in ("customer_id", "purpose"))
    holds = "stated.granted AND (refused.day IS NULL OR stated.day > refused.day)"
    return (
        f"WITH stated AS ({last}), refused AS (SELECT customer_id, purpose, max(day) AS day "
        f"FROM stated WHERE everywhere GROUP BY customer_id, purpose) "
        f"SELECT stated.customer_id, stated.channel, stated.purpose, {holds} AS granted "
        f"FROM stated LEFT JOIN refused ON {same} WHERE stated.channel <> '{EVERYWHERE}' "
        f"UNION ALL SELECT customer_id, '{EVERYWHERE}' AS channel, purpose, false AS granted "
        f"FROM refused ORDER BY {listed}"
    )


def _pairs(statements: pa.Table) -> Iterator[tuple[str, str]]:
    """Customer and channel of each row."""
    return zip(
        statements["customer_id"].to_pylist(), statements["channel"].to_pylist(), strict=True
    )


def objectors(snapshot: Snapshot) -> set[str]:
    """Customers whose latest statement on profiling, on any channel, is a refusal, or whose
    objection was received elsewhere, whenever that was: never scored.
    """
    elsewhere = set(snapshot.tables.objecting)
    if not snapshot.tables.has("consents"):
        return elsewhere
    asked = f"purpose IN ('{PROFILING}', '{ALL}') AND {known_statement(snapshot, 'consents')}"
    state = latest_statements(
        snapshot.tables,
        f"SELECT customer_id, channel, granted, day FROM consents WHERE {asked}",
        keys=_KEYS[:2],
        shown="bool_and(granted) AS granted",
    )
    return elsewhere | set(state.filter(pc.invert(state["granted"]))["customer_id"].to_pylist())


def newest_grant(tables: Tables) -> datetime | None:
    """The most recent grant in `consents`, including one dated later than the clock."""
    if not tables.has("consents"):
        return None
    (row,) = tables.engine.rows(f"SELECT max(day) AS day FROM ({_GRANTS}) AS grants")
    return None if row["day"] is None else moment_of(float(str(row["day"])))


def newest_grants(tables: Tables, customers: Collection[str]) -> dict[tuple[str, str], datetime]:
    """The same for each of some customers and channels."""
    if not tables.has("consents"):
        return {}
    asked = tables.engine.accept(pa.table({"customer_id": pa.array(customers, pa.string())}))
    found = tables.engine.rows(
        f"SELECT customer_id, channel, max(day) AS day FROM ({_GRANTS}) AS grants "
        f"WHERE customer_id IN (SELECT customer_id FROM {asked}) GROUP BY customer_id, channel"
    )
    return {
        (str(row["customer_id"]), str(row["channel"])): moment_of(float(str(row["day"])))
        for row in found
    }


def current_objectors(tables: Tables) -> set[str]:
    """The same from all that the tables contain: customers whose latest statement is a refusal,
    whatever its date.

    Models never learn from them, not even from the time before they objected.
    """
    return objectors(tables.as_of(END_OF_TIME))


def earlier_contacts(snapshot: Snapshot) -> pa.Table | None:
    """customer_id, offer_id, days_since, campaign_id: contacts before `as_of`, without controls,
    holdouts, and customers who drew no offer.
    """
    tables = snapshot.tables
    if not tables.has("contacts"):
        return None
    columns = tables.columns("contacts")
    offer = "offer_id" if "offer_id" in columns else "CAST(NULL AS STRING)"
    treated = (
        " AND coalesce(arm, 'treatment') NOT IN ('control', 'holdout')" if "arm" in columns else ""
    )
    if "offer_id" in columns:
        treated += " AND coalesce(offer_id, '') <> 'none'"
    return tables.engine.query(
        f"SELECT customer_id, {offer} AS offer_id, {snapshot.instant!r} - day AS days_since, "
        f"campaign_id FROM contacts WHERE {known_before(snapshot, 'contacts')}{treated} "
        "ORDER BY 1, 2, 3, 4"
    )


def known_statement(snapshot: Snapshot, table: str) -> str:
    """The same for a customer's statement: one without a date always counts as known."""
    return f"(undated OR {known_before(snapshot, table)})"


def known_before(snapshot: Snapshot, table: str) -> str:
    """The SQL condition that a row happened, and arrived, strictly before the snapshot."""
    instant = repr(snapshot.instant)
    arrived = "loaded_day" in snapshot.tables.engine.columns(table)
    return f"day < {instant}" + (f" AND loaded_day < {instant}" if arrived else "")


def preference_state(snapshot: Snapshot) -> pa.Table | None:
    """customer_id, channel, kind, allowed, max_contacts, cap_days: the latest statement before
    `as_of` per channel and kind, in lower case; "" stands for all of them. None if no such table.

    `allowed` is null if no row states it, and false if no contact is allowed at all; `max_contacts`
    is null or at least 1. Of two statements at the same moment the stricter values count.
    A "no" or a limit without a date always counts.
    """
    if not snapshot.tables.has("preferences"):
        return None
    return _last_preference(snapshot, known_statement(snapshot, "preferences"))


def preferences_to_send(snapshot: Snapshot) -> tuple[pa.Table, ...]:
    """The same state, that of the latest statements before `as_of` whenever they arrived, and that
    of the latest of all: an offer must be allowed by each of them. Empty if no such table.
    """
    state = preference_state(snapshot)
    if state is None:
        return ()
    happened = _last_preference(snapshot, f"(undated OR day < {snapshot.instant!r})")
    return state, happened, _last_preference(snapshot, "true")


def longest_cap_days(preferences: pa.Table | None) -> int:
    """The longest period over which a customer limits contacts, in days; 0 if there is none."""
    if preferences is None:
        return 0
    capped = preferences.filter(pc.is_valid(preferences["max_contacts"]))
    return int(pc.max(capped["cap_days"]).as_py() or 0)


def _last_preference(snapshot: Snapshot, known: str) -> pa.Table:
    """The latest statement per channel and kind; a row without `allowed` leaves the earlier value
    unchanged.
    """
    rows = (
        f"SELECT customer_id, channel, kind, allowed, max_contacts, "
        f"least(greatest(ceil(coalesce(cap_days, {CAP_DAYS})), 1), {_LONGEST}) AS cap_days, day "
        f"FROM preferences WHERE {known}"
    )
    keys = ", ".join(_PREFERENCE_KEYS)
    matching = " AND ".join(f"limits.{key} = stated.{key}" for key in _PREFERENCE_KEYS)
    stated = latest_statements_sql(
        f"{rows} AND allowed IS NOT NULL", keys=_PREFERENCE_KEYS, shown=_ALLOWED
    )
    limits = latest_statements_sql(rows, keys=_PREFERENCE_KEYS, shown=_LIMITS)
    return snapshot.tables.engine.query(
        f"SELECT limits.customer_id, limits.channel, limits.kind, stated.allowed, "
        f"limits.max_contacts, limits.cap_days FROM ({limits}) AS limits LEFT JOIN ({stated}) "
        f"AS stated ON {matching} ORDER BY {keys}"
    )
