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

    def active_for(session: Session) -> int:
        stated = session.settings.metrics.active_days if active is None else active
        return active_days(session, stated)

    def length(session: Session) -> str:
        return str(session.settings.metrics.period) if period is None else period

    def analysis(session: Session) -> Analysis:
        progress("following cohorts")
        return analyse(
            session.tables,
            as_of=session.as_of,
            active_days=active_for(session),
            period=length(session),
            margin_rate=session.settings.value.margin_rate,
        )

    def list_cell(session: Session, cell: Cell) -> pa.Table:
        return cohort_customers(
            session.tables,
            cell,
            active_days=active_for(session),
            as_of=session.as_of,
            period=length(session),
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
