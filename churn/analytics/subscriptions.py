"""Retention of subscriptions: the balance of subscribers, and what became of recurring revenue.

A customer subscribes at a date if a term of theirs had begun before it and had expired at most
`grace_days` before it, so that a renewal in time is no loss. Of several such terms the one that
began last counts. Its monthly price is its amount per 30.4375 days, or, for a term without an end,
its amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from churn.analytics.balance import Activity, Balance
from churn.analytics.customer_base import MILLIONTHS, CustomerBase, added_up, millionths
from churn.analytics.definitions import Definition, defined
from churn.analytics.metric_rows import arrow_counts, percent, period_columns
from churn.analytics.metric_sums import KEYS, Measure, grains_of, summed
from churn.analytics.periods import Period
from churn.analytics.splits import Split
from churn.arrays import Floats
from churn.data.history.columns import arrow_numbers, whole_numbers
from churn.data.history.past import Past

MONTH_DAYS = 30.4375

SUBSCRIPTIONS = defined(
    (
        Definition(
            "subscribers_at_start",
            "customers",
            "a term had begun before the period's start, and had expired at most grace_days before",
        ),
        Definition("subscribers_kept", "customers", "subscribers at the start and at the end"),
        Definition("subscribers_lost", "customers", "subscribers at the start, not at the end"),
        Definition(
            "subscribers_new",
            "customers",
            "subscribers at the end who had never subscribed before the start",
        ),
        Definition(
            "subscribers_won_back",
            "customers",
            "subscribers at the end, not at the start, who had subscribed before",
        ),
        Definition("subscribers_at_end", "customers", "kept + new + won back"),
        Definition(
            "subscription_retention_percent", "%", "subscribers kept / subscribers at start x 100"
        ),
        Definition(
            "mrr_at_start", "currency per month", "MRR: monthly prices of the subscribers at start"
        ),
        Definition("mrr_lost", "currency per month", "monthly prices of the subscribers lost"),
        Definition(
            "mrr_contraction", "currency per month", "decreases of the price of subscribers kept"
        ),
        Definition(
            "mrr_expansion", "currency per month", "increases of the price of subscribers kept"
        ),
        Definition(
            "mrr_won", "currency per month", "monthly prices of new and won back subscribers"
        ),
        Definition(
            "mrr_at_end",
            "currency per month",
            "MRR at start - lost - contraction + expansion + won",
        ),
        Definition(
            "gross_mrr_retention_percent",
            "%",
            "GRR = (MRR at start - lost - contraction) / MRR at start x 100",
        ),
        Definition(
            "net_mrr_retention_percent",
            "%",
            "NRR = (MRR at start - lost - contraction + expansion) / MRR at start x 100",
        ),
        Definition(
            "unpriced_subscribers", "customers", "subscribers at the end whose term has no amount"
        ),
    )
)
"""Every number of the table `subscriptions`."""

COUNTS = (
    *("subscribers_at_start", "subscribers_kept", "subscribers_lost", "subscribers_new"),
    *("subscribers_won_back", "subscribers_at_end", "unpriced_subscribers"),
)
MONEY = ("mrr_at_start", "mrr_lost", "mrr_contraction", "mrr_expansion", "mrr_won", "mrr_at_end")
MEASURES = (*COUNTS, *MONEY)
STATES = {
    "subscribers_at_start": "start",
    "subscribers_kept": "kept",
    "subscribers_lost": "lost",
    "subscribers_new": "new",
    "subscribers_won_back": "won_back",
    "subscribers_at_end": "end",
}
"""The part of a `Balance` that each count of subscribers is."""


def subscription_rows(
    base: CustomerBase,
    periods: Sequence[Period],
    bounds: Sequence[int],
    splits: Sequence[Split],
    *,
    grace_days: int,
) -> pa.Table:
    """One row per split, value and period. Recurring revenue is null if no term has an amount."""
    names = [(name, pa.int64()) for name in MEASURES]
    schema = pa.schema([("split", pa.string()), ("value", pa.string()), ("period", pa.int64())])
    for name, kind in names:
        schema = schema.append(pa.field(name, kind))
    counted = partial(_measures, grace_days=grace_days)
    sweep = partial(summed, tuple(bounds), base.active_days, tuple(splits), counted, schema)
    sums = added_up(base.sweep(sweep, schema, grains={*grains_of(splits), "terms"}), KEYS)
    has_amount = "amount" in base.tables.columns("subscriptions")
    return _table(sums, periods, has_amount=has_amount)


def subscription_balance(
    past: Past, dates: Sequence[int], grace_days: int
) -> tuple[Balance, Floats]:
    """The balances of subscribers between consecutive dates, shape (customers, dates - 1), and
    their monthly price at each date, shape (customers, dates): 0 for others, NaN if unknown.
    """
    terms, columns = past.terms, []
    price = terms.monthly_price(MONTH_DAYS)
    known = np.stack([terms.count(terms.local_day < date) > 0 for date in dates], axis=1)
    active = np.zeros(known.shape, dtype=bool)
    for place, date in enumerate(dates):
        running = (terms.local_day < date) & (terms.expires >= date - grace_days)
        active[:, place] = terms.count(running) > 0
        columns.append(np.where(active[:, place], terms.last(price, running), 0.0))
    return Balance(active[:, :-1], active[:, 1:], known[:, :-1]), np.stack(columns, axis=1)


def _measures(past: Past, activity: Activity, *, grace_days: int) -> Iterator[Measure]:
    """The measures in the order of `MEASURES`, shape (customers, periods)."""
    balance, price = subscription_balance(past, activity.dates.tolist(), grace_days)
    for part in STATES.values():
        yield getattr(balance, part)
    yield balance.end & np.isnan(price[:, 1:])
    money = millionths(np.nan_to_num(price))
    before, after = money[:, :-1], money[:, 1:]
    change = (after - before) * balance.kept
    yield from (before, before * balance.lost, np.maximum(-change, 0), np.maximum(change, 0))
    yield from (after * balance.arrived, after)


def _table(sums: pa.Table, periods: Sequence[Period], *, has_amount: bool) -> pa.Table:
    found = {name: whole_numbers(sums[name]) for name in MEASURES}
    hidden = 1.0 if has_amount else np.nan
    start, lost = found["mrr_at_start"] * hidden, found["mrr_lost"]
    kept = start - lost - found["mrr_contraction"]
    rates = {
        "subscription_retention_percent": percent(
            found["subscribers_kept"], found["subscribers_at_start"]
        ),
        **{name: found[name] / MILLIONTHS * hidden for name in MONEY},
        "gross_mrr_retention_percent": percent(kept, start),
        "net_mrr_retention_percent": percent(kept + found["mrr_expansion"], start),
    }
    return pa.table(
        {
            "split": sums["split"],
            "value": sums["value"],
            **period_columns(periods, whole_numbers(sums["period"])),
            **{name: arrow_counts(found[name]) for name in COUNTS},
            **{name: arrow_numbers(values) for name, values in rates.items()},
        }
    )
