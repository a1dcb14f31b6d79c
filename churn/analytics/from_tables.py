"""Segments, journey, signals and feedback as functions of tables, as `churn` exports them."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.customer_base import CustomerBase
from churn.analytics.feedback_data import unhappy_days
from churn.analytics.feedback_report import Worth
from churn.analytics.feedback_report import feedback as analyse_feedback
from churn.analytics.friction_data import frictions_before_lapses, window_of
from churn.analytics.journey import journey as analyse_journey
from churn.analytics.periods import Period
from churn.analytics.segment_history import SegmentRule
from churn.analytics.segmentation import Segmentation, segment_base, segment_rows
from churn.analytics.segments import learnt_bounds
from churn.analytics.signals import signals as analyse_signals
from churn.data.days import as_date, date_of
from churn.data.tables import Tables
from churn.errors import ConfigError, check_type
from churn.features.clock import FeatureClock

DEFAULT_DAYS = 28


def segments(
    tables: Tables,
    clock: FeatureClock,
    *,
    as_of: date | str | None = None,
    since: date | str | None = None,
    frozen: Segmentation | None = None,
) -> tuple[Analysis, Segmentation]:
    """The base by segment, and the bounds and clusters to pass as `frozen` at later dates.

    `since` is the earlier date of the migration, by default 28 days before `as_of`, which defaults
    to the end of the data. `frozen` can be written with `to_json` and read with `from_json`.
    """
    _check(tables, clock)
    when = tables.end() if as_of is None else tables.within(as_date(as_of, name="as_of"))
    return segment_base(tables, when, earlier_date(when, since), clock, frozen=frozen)


def journey(
    tables: Tables,
    clock: FeatureClock,
    *,
    as_of: date | str | None = None,
    since: date | str | None = None,
    frozen: Segmentation | None = None,
) -> Analysis:
    """Stages, transitions, leaks and frictions from `since`, by default 28 days before, to `as_of`.

    Customers are active for the clock's lookback, and lapse after its horizon without a purchase.
    Without `frozen` segments, the bound of loyal customers is learnt.
    """
    _check(tables, clock)
    base = CustomerBase.of(tables, as_of=as_of, active_days=clock.lookback_days)
    if frozen is None:
        (rows,), _ = segment_rows(tables, [base.as_of], clock)
        frozen = Segmentation(learnt_bounds(rows, base.as_of, clock))
    feedback_days = unhappy_days(tables.as_of(base.as_of))
    window = window_of(base, horizon_days=clock.horizon_days, feedback=feedback_days)
    return analyse_journey(
        base,
        period_between(base, since),
        loyal_days=frozen.bounds.purchase_days[2],
        frictions=frictions_before_lapses(base, window),
    )


def signals(
    tables: Tables,
    *,
    active_days: int,
    as_of: date | str | None = None,
    period: str = "28",
    clock: FeatureClock | None = None,
    frozen: Segmentation | None = None,
) -> Analysis:
    """What moved in the last complete period against the same period of last year, and where.

    The split by segment needs the clock and the `frozen` segments of `churn.segments`.
    """
    base = CustomerBase.of(tables, as_of=as_of, active_days=active_days)
    rule = None if clock is None or frozen is None else SegmentRule(frozen.bounds, clock)
    return analyse_signals(base, period, rule)


def feedback(
    tables: Tables,
    *,
    active_days: int,
    as_of: date | str | None = None,
    scores: pa.Table | None = None,
) -> Analysis:
    """NPS, CSAT, and the worklist, by the value at risk in `scores` or by the last year's spend."""
    when = CustomerBase.of(tables, as_of=as_of, active_days=active_days).as_of
    worth = None if scores is None else Worth.of_scores(scores)
    return analyse_feedback(tables.as_of(when), active_days=active_days, worth=worth)


def _check(tables: Tables, clock: FeatureClock) -> None:
    check_type(tables, Tables, name="tables", fix="Load them with churn.load_tables(...).")
    check_type(clock, FeatureClock, name="clock", fix="Pass FeatureClock(horizon_days=28, ...).")


def earlier_date(as_of: date, stated: date | str | None) -> date:
    """The date stated, else 28 days before; ConfigError unless it is before `as_of`."""
    if stated is None:
        return as_of - timedelta(days=DEFAULT_DAYS)
    when = as_date(stated, name="since")
    if when >= as_of:
        rule = f"since must be before {as_of}"
        raise ConfigError(rule, got=when, fix="Pass an earlier date.")
    return when


def period_between(base: CustomerBase, since: date | str | None) -> Period:
    """The period from `since`, by default 28 days before, to the base's date."""
    start = earlier_date(base.as_of, since)
    first = date_of(base.first_day)
    return Period(
        label=f"{start} to {base.as_of}",
        start=start,
        end=base.as_of,
        is_partial=start < first,
        is_truncated=(start - first).days < base.active_days,
    )
