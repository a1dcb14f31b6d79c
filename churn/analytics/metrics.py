"""Retention metrics by period: balance of customers, purchases, revenue retention, costs, value.

Every number is defined in `metric_definitions.py`. Rates are in percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.costs import CostRules, PeriodCosts, period_costs
from churn.analytics.customer_base import CustomerBase
from churn.analytics.late_orders import late_orders
from churn.analytics.lifetime_value import LifetimeValue, lifetime_value
from churn.analytics.metric_definitions import METRICS
from churn.analytics.metric_rows import Rows
from churn.analytics.metric_sums import gap_counts, metric_sums
from churn.analytics.metrics_shown import displays
from churn.analytics.periods import DEFAULT_PERIOD, Period, periods_of
from churn.analytics.segment_history import SegmentRule
from churn.analytics.segmentation import Segmentation
from churn.analytics.splits import SEGMENT, chosen_splits
from churn.analytics.subscriptions import SUBSCRIPTIONS, subscription_rows
from churn.arrays import Ints
from churn.data.days import day_number
from churn.data.history.columns import arrow_numbers
from churn.data.tables import Tables
from churn.errors import ConfigError
from churn.features.clock import FeatureClock

DEFAULT_VALUE_DAYS = 365


@dataclass(frozen=True)
class MetricOptions:
    """What metrics are computed with; see `[metrics]` in docs/configuration.md.

    `campaigns`: dates and costs of campaigns on record. `margin_rate`: share of net spend that is
    margin. Without `value_days` no lifetime value is computed. `target_percent`: bounds of the
    retention rate that the shop set itself. `grace_days`: how long after its expiry a subscription
    can still be renewed. `frozen` and `clock` are those of `churn.segments`; the split by segment
    needs them.
    """

    period: str = DEFAULT_PERIOD
    by: Sequence[str] = ()
    margin_rate: float = 0.3
    value_days: int | None = DEFAULT_VALUE_DAYS
    costs: CostRules = field(default_factory=CostRules)
    campaigns: Iterable[tuple[date, float]] = ()
    target_percent: tuple[float, float] | None = None
    grace_days: int = 7
    frozen: Segmentation | None = None
    clock: FeatureClock | None = None

    @property
    def segments(self) -> SegmentRule | None:
        """Who is in which segment; None if that is not known."""
        if self.frozen is None or self.clock is None:
            return None
        return SegmentRule(self.frozen.bounds, self.clock)


def metrics(
    tables: Tables,
    *,
    active_days: int,
    as_of: date | str | None = None,
    options: MetricOptions | None = None,
    **more: Any,
) -> Analysis:
    """The metrics of all periods up to `as_of` (default: the end of the data), as tables `periods`
    (one row per split, value and period), `value` (customer lifetime value at `as_of`) and, if they
    are connected, `subscriptions` (one row per split, value and period).

    `more` are fields of `MetricOptions`, e.g. `period="month", by=["channel"]`. Raises ConfigError
    for an unknown period, split or date.
    """
    options = _options(options, more)
    base = CustomerBase.of(tables, as_of=as_of, active_days=active_days)
    splits = chosen_splits(options.by, tables, options.segments)
    first, _ = tables.span()
    periods = periods_of(options.period, first=first, as_of=base.as_of, active_days=active_days)
    bounds = seen_bounds(periods, base.as_of)
    redemptions = tables.has("redemptions")
    sums = metric_sums(
        base, bounds, splits, margin_rate=options.margin_rate, redemptions=redemptions
    )
    costs = period_costs(tables.as_of(base.as_of), bounds, options.costs, options.campaigns)
    late = late_orders(base, [min(one.end, base.as_of) for one in periods])
    gaps = gap_counts(base, bounds, splits)
    rows = Rows(periods, sums, gaps, costs, late, redemptions)
    found, value = {"periods": rows.table()}, None
    if options.value_days is not None:
        share = rows.margin_share(options.margin_rate)
        value = lifetime_value(base, horizon_days=options.value_days, margin_rate=share)
        found["value"] = _value_table(value)
    if tables.has("subscriptions"):
        found["subscriptions"] = subscription_rows(
            base, periods, bounds, splits, grace_days=options.grace_days
        )
    resolved = {
        "active_days": active_days,
        "period": options.period,
        "by": list(options.by),
        "margin_rate": options.margin_rate,
        "value_days": options.value_days,
        "currency": tables.settings.currency,
        "target_percent": options.target_percent,
    }
    if SEGMENT in options.by and options.segments is not None:
        resolved["segment_bounds"] = options.segments.bounds.to_json()
    return Analysis(
        name="metrics",
        as_of=base.as_of,
        tables=found,
        definitions={**METRICS, **SUBSCRIPTIONS},
        main="periods",
        key=("split", "value", "period"),
        resolved=resolved,
        displays=displays(found, value, resolved),
        notes=(*_notes(periods, costs, late, active_days), *_cost_note(base, rows)),
        left_out={"customers": base.left_out} if base.left_out else {},
    )


def _options(options: MetricOptions | None, more: dict[str, Any]) -> MetricOptions:
    if options is not None and more:
        rule = "metrics takes options, or their fields by name"
        raise ConfigError(rule, got="both", fix="Leave one of them out.")
    strange = sorted(set(more) - set(MetricOptions.__dataclass_fields__))
    if strange:
        rule = f"the options of metrics are {', '.join(MetricOptions.__dataclass_fields__)}"
        raise ConfigError(rule, got=strange, fix="Pass one of them.")
    return options or MetricOptions(**more)


def seen_bounds(periods: Sequence[Period], as_of: date) -> list[int]:
    """The day numbers between periods; the last period ends at `as_of` at the latest."""
    ends = [day_number(min(one.end, as_of)) for one in periods]
    return [day_number(periods[0].start), *ends]


def _cost_note(base: CustomerBase, rows: Rows) -> tuple[str, ...]:
    """A note on the revenue whose cost of goods is unknown, where some is known."""
    share = rows.uncosted_share
    if "cost" not in base.tables.columns("orders") or not share:
        return ()
    return (f"{share:.1%} of net revenue has no unit_cost: the margin rate applies to it",)


def _value_table(value: LifetimeValue) -> pa.Table:
    columns = {
        "customers": [value.customers],
        "horizon_days": [value.horizon_days],
        "realised_value": [value.realised],
        "expected_value": [value.expected],
        "expected_value_low": [value.low],
        "expected_value_high": [value.high],
    }
    return pa.table({name: arrow_numbers(np.array(one)) for name, one in columns.items()})


def _notes(
    periods: Sequence[Period], costs: PeriodCosts, late: Ints, active_days: int
) -> Iterable[str]:
    if any(one.is_truncated for one in periods):
        yield (
            f"in the first {active_days} days of the data everyone looks new: periods that begin "
            "there have no rates and are compared with nothing"
        )
    for one in periods:
        if one.is_partial:
            yield f"the data does not cover all of {one.label}: it is compared with nothing"
    changed = np.flatnonzero(late)
    if len(changed):
        place = int(changed[-1])
        orders = "late order" if late[place] == 1 else "late orders"
        more = f"; so did {len(changed) - 1} earlier periods" if len(changed) > 1 else ""
        yield f"{periods[place].label} changed: {int(late[place]):,} {orders}{more}"
    for category, amount in costs.unused.items():
        yield (
            f"costs of the category {category!r} ({amount:,.2f}) are neither retention nor "
            "acquisition: name them in [metrics] retention_costs or acquisition_costs if they are"
        )
