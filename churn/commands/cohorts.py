"""`churn cohorts`: cohorts by first purchase, and survival curves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.analytics.cohorts import cohort_customers
from churn.analytics.cohorts import cohorts as analyse
from churn.commands.analyses import active_days, run_analysis
from churn.commands.session import Progress, Session, silent
from churn.results.job_result import JobResult
from churn.storage.postgres.address import Place


def cohorts(
    config: Path,
    *,
    out: Place | str | None = None,
    customers: str | None = None,
    period: str | None = None,
    active: int | None = None,
    as_of: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The cohorts of all periods before `as_of`.

    `period` is a number of days, month, quarter or year; `active` is the number of days without a
    purchase after which a customer has lapsed. The defaults are those of `[metrics]`. `out`
    receives one row per cohort and age, or with `customers`, a cell such as
    `customers,cohort=2010-12,age=3`, the list of its customers.
    """

    def analysis(session: Session) -> Analysis:
        return cohorts_analysis(session, period=period, active=active)

    def list_cell(session: Session, cell: Cell) -> pa.Table:
        return cohort_customers(
            session.tables,
            cell,
            active_days=_active_days(session, active),
            as_of=session.as_of,
            period=_length(session, period),
        )

    return run_analysis(
        "cohorts",
        config,
        analysis,
        list_cell,
        out=out,
        customers=customers,
        as_of=as_of,
        progress=progress,
    )


def cohorts_analysis(
    session: Session, *, period: str | None = None, active: int | None = None
) -> Analysis:
    """The cohorts at the session's date; the defaults are those of `[metrics]`."""
    session.progress("following cohorts")
    return analyse(
        session.tables,
        as_of=session.as_of,
        active_days=_active_days(session, active),
        period=_length(session, period),
        margin_rate=session.settings.value.margin_rate,
    )


def _active_days(session: Session, stated: int | None) -> int:
    return active_days(session, session.settings.metrics.active_days if stated is None else stated)


def _length(session: Session, stated: str | None) -> str:
    return str(session.settings.metrics.period) if stated is None else stated
