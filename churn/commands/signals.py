"""`churn signals`: what moved against the same period of last year, and where."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.analytics.customer_base import CustomerBase
from churn.analytics.segment_history import SegmentRule
from churn.analytics.segmentation import Segmentation
from churn.analytics.signals import signal_customers
from churn.analytics.signals import signals as analyse_signals
from churn.analytics.splits import SEGMENT
from churn.commands.analyses import active_days as resolved_active_days
from churn.commands.analyses import run_analysis
from churn.commands.segment_bounds import frozen_for_lists, with_segments
from churn.commands.session import Progress, Session, resolve_clock, silent
from churn.results.job_result import JobResult
from churn.storage.postgres.address import Place


def signals(
    config: Path,
    *,
    out: Place | str | None = None,
    as_of: str | None = None,
    period: str | None = None,
    active_days: int | None = None,
    customers: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """What moved in the last complete period against that of last year.

    `period` and `active_days` default to those of `[metrics]`.
    """

    def analyse(session: Session) -> Analysis:
        return signals_analysis(session, period=period, active=active_days)

    def list_cell(session: Session, cell: Cell) -> pa.Table:
        segments = None
        if cell.keys.get("split") == SEGMENT:
            segments = SegmentRule(frozen_for_lists(session).bounds, resolve_clock(session))
        base = _base(session, active_days)
        return signal_customers(base, _length(session, period), cell, segments)

    return run_analysis(
        "signals",
        config,
        analyse,
        list_cell,
        out=out,
        customers=customers,
        as_of=as_of,
        progress=progress,
    )


def signals_analysis(
    session: Session, *, period: str | None = None, active: int | None = None
) -> Analysis:
    """What moved before the session's date; the defaults are those of `[metrics]`."""
    base, clock = _base(session, active), resolve_clock(session)

    def compared(frozen: Segmentation) -> Analysis:
        return analyse_signals(base, _length(session, period), SegmentRule(frozen.bounds, clock))

    return with_segments(session, compared)


def _base(session: Session, stated: int | None) -> CustomerBase:
    days = resolved_active_days(
        session, session.settings.metrics.active_days if stated is None else stated
    )
    session.progress("comparing with last year")
    return CustomerBase.of(session.tables, as_of=session.as_of, active_days=days)


def _length(session: Session, stated: str | None) -> str:
    return str(session.settings.metrics.period) if stated is None else stated
