"""`churn metrics`: the balance of customers and retention metrics by period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.analytics.costs import CostRules
from churn.analytics.metric_cells import metric_customers
from churn.analytics.metrics import MetricOptions
from churn.analytics.metrics import metrics as analyse
from churn.analytics.segment_history import SegmentRule
from churn.analytics.splits import SEGMENT
from churn.commands.analyses import active_days, run_analysis
from churn.commands.segment_bounds import frozen_for_lists, with_segments
from churn.commands.session import Progress, Session, resolve_clock, silent
from churn.results.job_result import JobResult
from churn.storage.exports import campaign_costs
from churn.storage.postgres.address import Place


def metrics(
    config: Path,
    *,
    out: Place | str | None = None,
    customers: str | None = None,
    period: str | None = None,
    by: Sequence[str] = (),
    active: int | None = None,
    as_of: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The metrics of all periods before `as_of`.

    `period` is a number of days, month, quarter or year; `by` are splits, of which segment freezes
    the bounds of the segments if that has not happened yet; `active` is the number of
    days in which a customer who bought is active. The defaults are those of `[metrics]`, and for
    `active` the lookback. `out` receives one row per split, value and period, or with `customers`,
    a cell such as `lost,period=2011-11`, the list of its customers.
    """

    def analysis(session: Session) -> Analysis:
        return metrics_analysis(session, period=period, by=by, active=active)

    def list_cell(session: Session, cell: Cell) -> pa.Table:
        segments = None
        if SEGMENT in cell.keys:
            segments = SegmentRule(frozen_for_lists(session).bounds, resolve_clock(session))
        return metric_customers(
            session.tables,
            cell,
            active_days=_active_days(session, active),
            as_of=session.as_of,
            period=_options(session, period, by).period,
            grace_days=session.settings.churn.grace_days,
            segments=segments,
        )

    return run_analysis(
        "metrics",
        config,
        analysis,
        list_cell,
        out=out,
        customers=customers,
        as_of=as_of,
        progress=progress,
    )


def metrics_analysis(
    session: Session,
    *,
    period: str | None = None,
    by: Sequence[str] = (),
    active: int | None = None,
) -> Analysis:
    """The metrics at the session's date; the defaults are those of `[metrics]`."""
    options = _options(session, period, by)

    def counted(options: MetricOptions) -> Analysis:
        session.progress("counting customers")
        return analyse(
            session.tables,
            as_of=session.as_of,
            active_days=_active_days(session, active),
            options=options,
        )

    if SEGMENT not in options.by:
        return counted(options)
    clock = resolve_clock(session)
    return with_segments(
        session, lambda frozen: counted(replace(options, frozen=frozen, clock=clock))
    )


def _active_days(session: Session, stated: int | None) -> int:
    return active_days(session, session.settings.metrics.active_days if stated is None else stated)


def _options(session: Session, period: str | None, by: Sequence[str]) -> MetricOptions:
    settings, usual = session.settings.metrics, CostRules()
    return MetricOptions(
        period=str(settings.period) if period is None else period,
        by=tuple(by) or tuple(settings.by or ()),
        margin_rate=session.settings.value.margin_rate,
        value_days=settings.value_days,
        costs=CostRules(
            retention=settings.retention_costs or usual.retention,
            acquisition=settings.acquisition_costs or usual.acquisition,
        ),
        campaigns=campaign_costs(session.ledger, before=session.as_of),
        target_percent=settings.target_percent,
        grace_days=session.settings.churn.grace_days,
    )
