"""The past of every customer at every cutoff, and nothing else: all that features can see.

Each of its tables has `customer_id`, `cutoff`, `local_day` and `age_days`, the whole days from that
day to the cutoff: at least 1, because the day of the cutoff is already future.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date

import narwhals as nw

from churn.data.day_sweep import SWEPT, sweep_days
from churn.data.days import day_number, midnight
from churn.data.engines.base import Frame
from churn.data.event_days import event_days, event_rows
from churn.data.line_days import line_days, lines_of_orders
from churn.data.order_days import order_days
from churn.data.tables import Swept, Tables
from churn.data.terms import terms, terms_at_cutoffs

KEYS = ("customer_id", "cutoff")

RANGE_CUSTOMERS = 500_000
Steps = Callable[[Frame, Sequence[str]], Frame]


@dataclass(frozen=True)
class History:
    """What had happened, and had arrived, before each cutoff.

    `customers`: customer_id, cutoff and attributes that never change, for everyone known by then;
    `listed` if some of them may not have ordered. `days`: a row per day with an order, see
    `order_days`. `lines`: a row per day and category, see `line_days`; `events`: a row per event,
    see `event_days`; `terms`: a row per subscription, see `terms_at_cutoffs`; each None unless
    requested.
    """

    customers: Frame
    days: Frame
    listed: bool
    lines: Frame | None = None
    events: Frame | None = None
    terms: Frame | None = None

    def grain(self, name: str) -> Frame:
        """The table with that name: `days`, `lines`, `events` or `terms`."""
        found: Frame = getattr(self, name)
        return found


def customer_key(days: Frame) -> str:
    """The cheapest column that identifies customers: a number if days have one."""
    return "customer_number" if "customer_number" in days.collect_schema() else "customer_id"


def customer_cuts(tables: Tables) -> list[str]:
    """Ids that split customers into ranges of `RANGE_CUSTOMERS`, in order.

    Empty if no history was computed yet, or its days have no customer numbers.
    """
    if not tables.keeps("order_days") or "customer_number" not in tables.engine.columns(
        "order_days"
    ):
        return []
    every = f"customer_number % {RANGE_CUSTOMERS} = 0"
    found = tables.engine.rows(f"SELECT DISTINCT customer_id AS c FROM order_days WHERE {every}")
    return sorted((str(row["c"]) for row in found), key=str.encode)


def history(
    tables: Tables,
    cutoffs: Sequence[date],
    *,
    undated: bool = False,
    subscribers: bool = False,
    grains: Collection[str] = ("days",),
) -> History:
    """The history at those cutoffs; `undated` also counts customers whose sign-up has no date,
    `subscribers` those who have subscribed but not ordered.
    """
    moments = _moments(tables, cutoffs)
    orders = tables.frame("orders")
    days = _past(tables, "order_days", orders, order_days, moments, _swept_days(orders))
    subscribed = None
    if "terms" in grains:
        begun = _past(tables, "terms", tables.frame("subscriptions"), terms, moments)
        subscribed = terms_at_cutoffs(begun, KEYS)
    named = [days] if subscribed is None or not subscribers else [days, subscribed]
    known = _known(tables, moments, named, undated=undated)
    lines = None
    if "lines" in grains:
        lines = _past(tables, "line_days", lines_of_orders(tables), line_days, moments)
    events = None
    if "events" in grains:
        events = _past(tables, "event_days", event_rows(tables), event_days, moments)
    listed = tables.has("customers") or len(named) > 1
    return History(known, days, listed, lines, events, subscribed)


def _moments(tables: Tables, cutoffs: Sequence[date]) -> Frame:
    """Each cutoff as a day number in the day time zone and as an instant."""
    zone = tables.settings.day_timezone
    return tables.engine.values(
        {
            "cutoff": [day_number(cutoff) for cutoff in cutoffs],
            "cutoff_day": [midnight(cutoff, zone) for cutoff in cutoffs],
        }
    )


def _swept_days(orders: Frame) -> Swept:
    columns = [name for name in SWEPT if name in orders.collect_schema().names()]
    return Swept(orders.select(*columns), sweep_days, SWEPT[:2])


def _past(
    tables: Tables,
    name: str,
    rows: Frame,
    steps: Steps,
    moments: Frame,
    swept: Swept | None = None,
) -> Frame:
    """The rows before each cutoff after `steps`, which only look backward.

    If all rows arrive as they happen, the steps are computed once and the cutoffs joined
    afterwards; `swept` computes the same steps in one pass.
    """
    if any(column in rows.collect_schema().names() for column in ARRIVALS):
        past = steps(_arrived(rows, moments), KEYS)
    else:
        once = tables.once(name, steps(rows, KEYS[:1]), swept)
        past = once.join(moments.select("cutoff"), how="cross")
        past = past.filter(nw.col("local_day") < nw.col("cutoff"))
    return past.with_columns(age_days=nw.col("cutoff") - nw.col("local_day"))


# A line counts once both it and its order have arrived.
ARRIVALS = ("loaded_day", "line_loaded_day")


def _arrived(rows: Frame, moments: Frame) -> Frame:
    """Rows joined to the cutoffs at which they had happened and this version was the newest."""
    columns = rows.collect_schema().names()
    seen = nw.col("local_day") < nw.col("cutoff")
    for arrival in ARRIVALS:
        if arrival in columns:
            # rows without an arrival time arrive as they happen
            came = nw.col(arrival) < nw.col("cutoff_day")
            seen = seen & (came | nw.col(arrival).is_null())
    if "superseded_day" in columns:
        superseded = nw.col("superseded_day")
        seen = seen & (superseded.is_null() | (superseded >= nw.col("cutoff_day")))
    return rows.join(moments, how="cross").filter(seen)


def _known(tables: Tables, moments: Frame, named: list[Frame], *, undated: bool) -> Frame:
    """Everyone who appears, or had signed up, before the cutoff, and their `LASTING` attributes."""
    seen = nw.concat([rows.select(*KEYS) for rows in named]).unique()
    if not tables.has("customers"):
        return seen
    listed = _listed(tables, moments, undated=undated)
    everyone = nw.concat([seen, listed.select(*KEYS)]).unique()
    lasting = [name for name in LASTING if name in tables.columns("customers")]
    if not lasting:
        return everyone
    facts = listed.group_by(*KEYS).agg(*(nw.col(name).min() for name in lasting))
    return everyone.join(facts, on=list(KEYS), how="left")


# Attributes known from the first day that never change; a tier or a region may change.
LASTING = ("acquisition_source", "signed_up_day")


def _listed(tables: Tables, moments: Frame, *, undated: bool) -> Frame:
    """The customer list at each cutoff: who had signed up, and had arrived, by then."""
    joined = tables.frame("customers").join(moments, how="cross")
    columns = tables.columns("customers")
    if "signed_up_day" in columns:
        known = (nw.col("signed_up_day") < nw.col("cutoff_day")).fill_null(undated)
    else:
        # a bare literal has no length, and no filter accepts it
        known = nw.lit(undated) & ~nw.col("cutoff_day").is_null()
    if "loaded_day" in columns:
        known = known & (nw.col("loaded_day") < nw.col("cutoff_day"))
    return joined.filter(known)
