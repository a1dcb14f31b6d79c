"""`churn journey`: stages, transitions, time in stage, leaks and frictions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.analytics.customer_base import CustomerBase
from churn.analytics.feedback_data import unhappy_days
from churn.analytics.friction_data import frictions_before_lapses, window_of
from churn.analytics.from_tables import period_between
from churn.analytics.journey import journey as analyse_journey
from churn.analytics.journey import journey_customers
from churn.analytics.segmentation import Segmentation
from churn.commands.analyses import active_days, run_analysis
from churn.commands.segment_bounds import frozen_for_lists, with_segments
from churn.commands.session import Progress, Session, resolve_clock, silent
from churn.results.job_result import JobResult
from churn.storage.postgres.address import Place


def journey(
    config: Path,
    *,
    out: Place | str | None = None,
    as_of: str | None = None,
    since: str | None = None,
    customers: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The journey from an earlier date, by default 28 days before, to `as_of`."""

    def analyse(session: Session) -> Analysis:
        return journey_analysis(session, since=since)

    def list_cell(session: Session, cell: Cell) -> pa.Table:
        base = _base(session)
        period = period_between(base, since)
        frozen = frozen_for_lists(session)
        return journey_customers(base, period, cell, loyal_days=frozen.bounds.purchase_days[2])

    return run_analysis(
        "journey",
        config,
        analyse,
        list_cell,
        out=out,
        customers=customers,
        as_of=as_of,
        progress=progress,
    )


def journey_analysis(session: Session, *, since: str | None = None) -> Analysis:
    """The journey from an earlier date, by default 28 days before, to the session's date."""
    return with_segments(session, partial(_followed, session, since))


def _followed(session: Session, since: str | None, frozen: Segmentation) -> Analysis:
    base = _base(session)
    session.progress("following the customers")
    period = period_between(base, since)
    window = window_of(
        base,
        horizon_days=resolve_clock(session).horizon_days,
        feedback=unhappy_days(session.snapshot),
    )
    found = frictions_before_lapses(base, window)
    loyal_days = frozen.bounds.purchase_days[2]
    return analyse_journey(base, period, loyal_days=loyal_days, frictions=found)


def _base(session: Session) -> CustomerBase:
    days = active_days(session, session.settings.metrics.active_days)
    return CustomerBase.of(session.tables, as_of=session.as_of, active_days=days)
