"""What customers want to be sent: which kinds of offers, on which channels, and how often."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.consent import known_before, last_words, plain_word
from churn.data.tables import Snapshot

__all__ = ["CAP_DAYS", "longest_cap_days", "preference_state", "preferences_to_send"]

CAP_DAYS = 28
"""The days that a `max_contacts` speaks of whose row names none."""

_LONGEST = 3650
_KEYS = ("customer_id", "channel", "kind")
_SHOWN = (
    "bool_and(allowed) AS allowed, min(max_contacts) AS max_contacts, max(cap_days) AS cap_days"
)


def preference_state(snapshot: Snapshot) -> pa.Table | None:
    """customer_id, channel, kind, allowed, max_contacts, cap_days: the last word before `as_of` on
    each channel and kind, in lower case; "" stands for all of them. None: no such table.

    `allowed` is null where the row says nothing of it, and false where no contact is allowed at
    all; `max_contacts` is null or at least 1. Of two words at the same moment the stricter hold.
    """
    if not snapshot.tables.has("preferences"):
        return None
    return _last_said(snapshot, known_before(snapshot, "preferences"))


def preferences_to_send(snapshot: Snapshot) -> tuple[pa.Table, ...]:
    """The same state, that of the last words before `as_of` whenever they arrived, and that of the
    last of all: an offer must be wanted in each of them. Empty: no such table.
    """
    state = preference_state(snapshot)
    if state is None:
        return ()
    happened = _last_said(snapshot, f"day < {snapshot.instant!r}")
    return state, happened, _last_said(snapshot, "day IS NOT NULL")


def longest_cap_days(preferences: pa.Table | None) -> int:
    """The longest time in which a customer limits contacts, in days; 0 where nobody does."""
    if preferences is None:
        return 0
    capped = preferences.filter(pc.is_valid(preferences["max_contacts"]))
    return int(pc.max(capped["cap_days"]).as_py() or 0)


def _last_said(snapshot: Snapshot, known: str) -> pa.Table:
    columns = snapshot.tables.columns("preferences")
    channel, kind = (
        f"coalesce({plain_word(name)}, '')" if name in columns else "''"
        for name in ("channel", "kind")
    )
    allowed = "allowed" if "allowed" in columns else "CAST(NULL AS BOOLEAN)"
    most, days = (
        name if name in columns else "CAST(NULL AS DOUBLE)" for name in ("max_contacts", "cap_days")
    )
    rows = (
        f"SELECT customer_id, {channel} AS channel, {kind} AS kind, "
        f"CASE WHEN {most} < 1 THEN false ELSE {allowed} END AS allowed, "
        f"CASE WHEN {most} >= 1 THEN floor({most}) END AS max_contacts, "
        f"least(greatest(ceil(coalesce({days}, {CAP_DAYS})), 1), {_LONGEST}) AS cap_days, day "
        f"FROM preferences WHERE {known}"
    )
    return last_words(snapshot.tables, rows, keys=_KEYS, shown=_SHOWN)
