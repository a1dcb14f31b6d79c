"""Which customers had which friction before which dates, and who lapsed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.analytics.balance import NEVER, Activity
from churn.analytics.customer_base import CustomerBase
from churn.analytics.frictions import Friction, compare_frictions, strata
from churn.arrays import Bools, Ints
from churn.data.days import day_number
from churn.data.history.columns import arrow_numbers
from churn.data.history.past import Past

KINDS = {
    "delivery_late": "late delivery",
    "ticket_opened": "ticket",
    "complaint": "complaint",
    "review": "bad review",
    "nps": "low NPS",
    "cart": "abandoned cart",
    "return": "return",
    "feedback": "unhappy feedback",
}
"""The frictions: event types, returned orders, and low scores of surveys and reviews."""

WORST = {"review": 2.0, "nps": 6.0}
MOST_DATES = 12
ROWS = pa.schema(
    [(name, pa.int64()) for name in ("date", "lapsed", "recency", "days", "at_risk", "frictions")]
)


@dataclass(frozen=True)
class Window:
    """The dates (day numbers), the days before each in which frictions count, the days after each
    in which a customer who buys nothing lapses, and the kinds to look at.
    """

    dates: tuple[int, ...]
    before_days: int
    horizon_days: int
    active_days: int
    kinds: tuple[str, ...]
    feedback: pa.Table


def window_of(base: CustomerBase, *, horizon_days: int, feedback: pa.Table) -> Window:
    """The dates of the last year, one per horizon, whose outcome is known."""
    end = day_number(base.as_of)
    dates = [end - horizon_days * place for place in range(1, MOST_DATES + 1)]
    first = base.first_day + base.active_days
    kinds = [kind for kind in KINDS if f"events.{kind}" in base.tables.connected()]
    kinds += ["return", *(["feedback"] if len(feedback) else [])]
    return Window(
        tuple(sorted(one for one in dates if one >= first)),
        horizon_days,
        horizon_days,
        base.active_days,
        tuple(kinds),
        feedback,
    )


def frictions_before_lapses(base: CustomerBase, window: Window) -> list[Friction]:
    """The frictions of the window's kinds; empty without a date whose outcome is known."""
    if not window.dates:
        return []
    grains = ["events"] if base.tables.has("events") else []
    rows = base.sweep(partial(_rows, window), ROWS, grains=grains)
    column = {name: rows[name].to_numpy() for name in rows.column_names}
    groups = strata(column["recency"], column["days"], column["at_risk"])
    both = np.unique(np.stack([column["date"], groups]), axis=1, return_inverse=True)[1]
    had = {
        KINDS[kind]: (column["frictions"] >> place & 1).astype(bool)
        for place, kind in enumerate(window.kinds)
    }
    had = {name: exposed for name, exposed in had.items() if exposed.any()}
    return compare_frictions(column["lapsed"] == 1, np.asarray(both).ravel(), had)


def _rows(window: Window, blocks: Iterable[Past]) -> Iterator[pa.RecordBatch]:
    for past in blocks:
        ends = [*window.dates, window.dates[-1] + window.horizon_days]
        activity = Activity(past, sorted({*ends}), window.active_days)
        for place, date in enumerate(window.dates):
            last = activity.last_day[:, place]
            active = (last != NEVER) & (last >= date - window.active_days)
            since = activity.last_day[:, place + 1]
            columns = {
                "date": np.full(int(active.sum()), date),
                "lapsed": (since < date)[active],
                "recency": (date - last)[active],
                "days": activity.before[:, place][active],
                "at_risk": _orders_at_risk(past, window, date)[active],
                "frictions": _frictions(past, window, date)[active],
            }
            arrays = [arrow_numbers(columns[name].astype(np.int64)) for name in ROWS.names]
            yield pa.record_batch(arrays, schema=ROWS)


def _orders_at_risk(past: Past, window: Window, date: int) -> Ints:
    """The purchase days in the window before the date: what could have gone wrong."""
    days = past.days
    recent = (days.local_day < date) & (days.local_day >= date - window.before_days)
    return days.count(days.bought & recent).astype(np.int64)


def _frictions(past: Past, window: Window, date: int) -> Ints:
    """The frictions of each customer in the window before the date, a bit for each kind."""
    found = np.zeros(len(past), dtype=np.int64)
    for place, kind in enumerate(window.kinds):
        found |= _had(past, window, date, kind).astype(np.int64) << place
    return found


def _had(past: Past, window: Window, date: int, kind: str) -> Bools:
    if kind == "feedback":
        return _feedback(past, window, date)
    rows = past.days if kind == "return" else past.events
    recent = (rows.local_day < date) & (rows.local_day >= date - window.before_days)
    if kind == "return":
        return np.asarray(past.days.count(recent & (past.days.returned > 0)) > 0)
    held = recent & past.events.of(kind)
    if kind in WORST:
        held &= past.events.amount <= WORST[kind]
    if kind == "cart":
        held &= ~_bought_at_once(past)
    return np.asarray(past.events.count(held) > 0)


def _bought_at_once(past: Past) -> Bools:
    """For each event, whether the customer bought on that day or the next."""
    days = past.days
    width = 1 << 20
    bought = days.customer[days.bought].astype(np.int64) * width + days.local_day[days.bought]
    key = past.events.customer.astype(np.int64) * width + past.events.local_day
    return np.isin(key, bought) | np.isin(key + 1, bought)


def _feedback(past: Past, window: Window, date: int) -> Bools:
    """Who gave an unhappy score in the window before the date."""
    days = window.feedback["local_day"].to_numpy()
    recent = (days < date) & (days >= date - window.before_days)
    ids = window.feedback["customer_id"].filter(pa.array(recent))
    return np.asarray(pc.is_in(past.block.customer_ids, value_set=ids.combine_chunks()), dtype=bool)
