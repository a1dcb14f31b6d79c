"""The customers behind a number of the retention metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa

from churn.analytics.balance import Activity
from churn.analytics.cells import LISTED, Cell, listed
from churn.analytics.customer_base import CustomerBase
from churn.analytics.metric_sums import grains_of
from churn.analytics.metrics import seen_bounds
from churn.analytics.periods import DEFAULT_PERIOD, Period, periods_of
from churn.analytics.segment_history import NAMES as SEGMENT_NAMES
from churn.analytics.segment_history import SegmentRule
from churn.analytics.splits import SEGMENT, SPLITS, Split, chosen_splits
from churn.analytics.subscriptions import STATES, subscription_balance
from churn.arrays import Bools
from churn.data.history.columns import arrow_mask
from churn.data.history.past import Past
from churn.data.tables import Tables
from churn.errors import ConfigError

NAMES = (
    *("active_at_start", "kept", "lost", "arrived", "new", "won_back", "active_at_end"),
    *("buyers", "repeat_customers"),
    *STATES,
)
PERIOD = "period"


def metric_customers(
    tables: Tables,
    cell: Cell | str,
    *,
    active_days: int,
    as_of: date | str | None = None,
    period: str = DEFAULT_PERIOD,
    grace_days: int = 7,
    segments: SegmentRule | None = None,
) -> pa.Table:
    """`customer_id` and `cell` of the customers of a cell, e.g. `lost,period=2011-11,channel=web`.

    Without a period it is the last complete one. A cell of a segment needs `segments`. Raises
    ConfigError for an unknown name, period, split or value.
    """
    cell = Cell.parse(cell) if isinstance(cell, str) else cell
    cell.check(names=NAMES, keys=(PERIOD, *SPLITS))
    base = CustomerBase.of(tables, as_of=as_of, active_days=active_days)
    first, _ = tables.span()
    periods = periods_of(period, first=first, as_of=base.as_of, active_days=active_days)
    chosen = _period(periods, cell.keys.get(PERIOD))
    if chosen.is_truncated and cell.name in ("new", "won_back"):
        rule = f"new and won back cannot be told apart in the first {active_days} days of the data"
        raise ConfigError(rule, got=chosen.label, fix="List arrived, or pass a later period.")
    asked = [(key, value) for key, value in cell.keys.items() if key != PERIOD]
    splits = chosen_splits([key for key, _ in asked], tables, segments)
    _check_segment(cell.keys.get(SEGMENT))
    wanted = [(split, value) for split, (_, value) in zip(splits, asked, strict=True)]
    bounds = seen_bounds([chosen], base.as_of)
    sweep = partial(_listed, cell.name, bounds, active_days, grace_days, wanted)
    grains = grains_of(splits) | ({"terms"} if cell.name in STATES else set())
    if cell.name in STATES and not tables.has("subscriptions"):
        rule = f"{cell.name} needs the table of subscriptions"
        raise ConfigError(rule, fix="Connect it in [data.subscriptions].")
    named = Cell(cell.name, {**cell.keys, PERIOD: chosen.label})
    return listed(named, base.sweep(sweep, LISTED, grains=grains))


def _check_segment(name: str | None) -> None:
    """ConfigError for a segment that does not exist."""
    if name is not None and name not in SEGMENT_NAMES:
        rule = f"segment must be one of {', '.join(SEGMENT_NAMES)}"
        raise ConfigError(rule, got=repr(name), fix="Pass one of them.")


def _period(periods: Sequence[Period], label: str | None) -> Period:
    if label is None:
        whole = [one for one in periods if not one.is_partial]
        return (whole or list(periods))[-1]
    for one in periods:
        if one.label == label:
            return one
    rule = f"a period must be one of {periods[0].label} to {periods[-1].label}"
    raise ConfigError(rule, got=label, fix=f"Pass e.g. period={periods[-1].label}.")


def _listed(
    name: str,
    bounds: Sequence[int],
    active_days: int,
    grace_days: int,
    wanted: Sequence[tuple[Split, str]],
    pasts: Iterable[Past],
) -> Iterator[pa.RecordBatch]:
    for past in pasts:
        activity = Activity(past, bounds, active_days)
        chosen = _members(name, activity, past, grace_days)
        for split, value in wanted:
            values = split.values(past, activity)
            places = [place for place, one in enumerate(values.names) if one == value]
            chosen &= np.isin(values.in_periods(1)[:, 0], places)
        ids = past.block.customer_ids.filter(arrow_mask(chosen))
        yield pa.record_batch([ids], schema=LISTED)


def _members(name: str, activity: Activity, past: Past, grace_days: int) -> Bools:
    """Who belongs to that number in the one period."""
    if name in STATES:
        subscribers, _ = subscription_balance(past, activity.dates.tolist(), grace_days)
        return np.array(getattr(subscribers, STATES[name])[:, 0])
    balance = activity.balance(0, 1)
    if name == "buyers":
        return np.asarray(activity.before[:, 1] > activity.before[:, 0])
    if name == "repeat_customers":
        return np.asarray(activity.within[:, 1] > 1)
    attribute = {"active_at_start": "start", "active_at_end": "end"}.get(name, name)
    return np.array(getattr(balance, attribute))
