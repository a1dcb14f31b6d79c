"""Features, statuses and labels of subscriptions once more, in loops over plain Python values.

Written from the words, not from the expressions. Days are dates in the day time zone.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Values = dict[str, float | None]
NO_END = date(2099, 1, 1)


def features_of(rows: list[Row], cutoff: date, *, zone: str = "UTC") -> dict[str, Values]:
    """The features of everyone with a subscription that had begun, and arrived, before the cutoff;
    those of cancellations where rows have such a key.
    """
    found = {}
    terms = [row for row in known(rows, cutoff, zone) if day(row["started_at"], zone) < cutoff]
    for name in {term["customer_id"] for term in terms}:
        own = [term for term in terms if term["customer_id"] == name]
        found[name] = _values(own, cutoff, zone)
    return found


def status_of(values: Values | None, horizon: int, lead: int, min_tenure: int) -> str:
    if values is None or values["subscription_tenure_days"] < min_tenure:
        return "new"
    left = values["days_to_expiry"]
    if left is None:
        return "covered"
    if left < 0:
        return "lapsed"
    return "eligible" if lead <= left < lead + horizon else "covered"


def outcome_of(
    rows: list[Row], name: str, cutoff: date, cutoffs: Any, *, zone: str = "UTC"
) -> tuple[int, int]:
    """Whether the customer renews in time, and begins anew inside the horizon, of the panel."""
    values = features_of(rows, cutoff, zone=zone).get(name)
    own = [row for row in known(rows, cutoffs.until, zone) if row["customer_id"] == name]
    opens = cutoff + timedelta(days=cutoffs.lead_days)
    closes = opens + timedelta(days=cutoffs.horizon_days)
    begun = any(opens <= day(row["started_at"], zone) < closes for row in own)
    if values is None:
        return 0, int(begun)
    left = values["days_to_expiry"]
    last = NO_END if left is None else cutoff + timedelta(days=left)
    in_time = last + timedelta(days=cutoffs.grace_days)
    renewed = any(
        day(row["started_at"], zone) <= in_time and stated_end(row, zone) > last for row in own
    )
    return int(renewed), int(begun)


def known(rows: list[Row], until: date, zone: str) -> list[Row]:
    """The version of each term that arrived last before that date."""
    midnight = datetime.combine(until, time(), tzinfo=ZoneInfo(zone))
    if not any("loaded_at" in row for row in rows):
        return list(rows)
    newest: dict[Any, list[Row]] = {}
    for row in sorted(rows, key=lambda one: one["loaded_at"]):
        if row["loaded_at"] < midnight:
            key = row["customer_id"], row["started_at"]
            kept = newest.get(key, [])
            same = bool(kept) and kept[0]["loaded_at"] == row["loaded_at"]
            newest[key] = [*kept, row] if same else [row]
    return [row for kept in newest.values() for row in kept]


def day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def stated_end(term: Row, zone: str) -> date:
    """The day on which the term expires by its row; `NO_END` where none is stated."""
    if term["expires_at"] is None:
        return NO_END
    return min(day(term["expires_at"], zone), NO_END)


def end(term: Row, cutoff: date, zone: str) -> date:
    """The same as it is known at the cutoff: without an end it ends when it is cancelled."""
    stated = stated_end(term, zone)
    is_cancelled = "cancelled_at" in term and _cancelled(term, cutoff, zone)
    if stated == NO_END and is_cancelled:
        return day(term["cancelled_at"], zone)
    return stated


def _values(own: list[Row], cutoff: date, zone: str) -> Values:
    starts = {day(term["started_at"], zone) for term in own}
    last = max(end(term, cutoff, zone) for term in own)
    running = [term for term in own if end(term, cutoff, zone) == last]
    lengths = [(last - day(term["started_at"], zone)).days for term in running]
    values: Values = {
        "days_to_expiry": None if last == NO_END else (last - cutoff).days,
        "subscription_tenure_days": (cutoff - min(starts)).days,
        "renewals_so_far": len(starts) - 1,
        "plan_days": None if last == NO_END else max(lengths),
    }
    if "cancelled_at" in own[0]:
        values["is_cancelled"] = int(all(_cancelled(term, cutoff, zone) for term in running))
        ages = [
            (cutoff - day(term["cancelled_at"], zone)).days
            for term in own
            if _cancelled(term, cutoff, zone)
        ]
        values["last_cancellation_days"] = min(ages, default=None)
    return values


def _cancelled(term: Row, cutoff: date, zone: str) -> bool:
    return term["cancelled_at"] is not None and day(term["cancelled_at"], zone) < cutoff
