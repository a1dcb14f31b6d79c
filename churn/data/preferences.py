"""What customers want to be sent: which kinds of offers, on which channels, and how often."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from churn.data.consent import known_word, last_words_sql
from churn.data.tables import Snapshot

__all__ = ["CAP_DAYS", "longest_cap_days", "preference_state", "preferences_to_send"]

CAP_DAYS = 28
"""The days that a `max_contacts` speaks of whose row names none."""

_LONGEST = 3650
_KEYS = ("customer_id", "channel", "kind")
_ALLOWED = "bool_and(allowed) AS allowed"
_LIMITS = "min(floor(max_contacts)) AS max_contacts, max(cap_days) AS cap_days"


def preference_state(snapshot: Snapshot) -> pa.Table | None:
    """customer_id, channel, kind, allowed, max_contacts, cap_days: the last word before `as_of` on
    each channel and kind, in lower case; "" stands for all of them. None: no such table.

    `allowed` is null where no row says anything of it, and false where no contact is allowed at
    all; `max_contacts` is null or at least 1. Of two words at the same moment the stricter hold.
    A "no" or a limit without a date is known always.
    """
    if not snapshot.tables.has("preferences"):
        return None
    return _last_said(snapshot, known_word(snapshot, "preferences"))


def preferences_to_send(snapshot: Snapshot) -> tuple[pa.Table, ...]:
    """The same state, that of the last words before `as_of` whenever they arrived, and that of the
    last of all: an offer must be wanted in each of them. Empty: no such table.
    """
    state = preference_state(snapshot)
    if state is None:
        return ()
    happened = _last_said(snapshot, f"(undated OR day < {snapshot.instant!r})")
    return state, happened, _last_said(snapshot, "true")


def longest_cap_days(preferences: pa.Table | None) -> int:
    """The longest time in which a customer limits contacts, in days; 0 where nobody does."""
    if preferences is None:
        return 0
    capped = preferences.filter(pc.is_valid(preferences["max_contacts"]))
    return int(pc.max(capped["cap_days"]).as_py() or 0)


def _last_said(snapshot: Snapshot, known: str) -> pa.Table:
    """The last word on each channel and kind; a row that says nothing of `allowed` changes nothing
    of what was said before.
    """
    rows = (
        f"SELECT customer_id, channel, kind, allowed, max_contacts, "
        f"least(greatest(ceil(coalesce(cap_days, {CAP_DAYS})), 1), {_LONGEST}) AS cap_days, day "
        f"FROM preferences WHERE {known}"
    )
    keys = ", ".join(_KEYS)
    said = last_words_sql(f"{rows} AND allowed IS NOT NULL", keys=_KEYS, shown=_ALLOWED)
    limits = last_words_sql(rows, keys=_KEYS, shown=_LIMITS)
    return snapshot.tables.engine.query(
        f"SELECT limits.customer_id, limits.channel, limits.kind, said.allowed, "
        f"limits.max_contacts, limits.cap_days FROM ({limits}) AS limits LEFT JOIN ({said}) AS said"
        f" ON {' AND '.join(f'limits.{key} = said.{key}' for key in _KEYS)} ORDER BY {keys}"
    )
