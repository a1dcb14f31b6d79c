"""`churn feedback`: NPS, CSAT, and the worklist of whom to answer first."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.analytics.feedback_report import Worth, feedback_customers
from churn.analytics.feedback_report import feedback as analyse_feedback
from churn.commands.analyses import active_days, run_analysis
from churn.commands.previous_results import SCORES
from churn.commands.session import Progress, Session, silent
from churn.data.erased import without_erased
from churn.results.job_result import JobResult
from churn.results.output import read_result
from churn.storage.postgres.address import Place, place_of


def feedback(
    config: Path,
    *,
    out: Place | str | None = None,
    as_of: str | None = None,
    scores: Place | str | None = None,
    customers: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Scores of surveys and reviews, and the worklist, which `out` receives.

    The worklist is sorted by the value at risk in `scores`, by the last year's spend without them.
    """

    def analyse(session: Session) -> Analysis:
        rows = None
        if scores is not None:
            rows = read_result(place_of(scores), SCORES)[0]
            rows = without_erased(rows, session.erased)
        return feedback_analysis(session, scores=rows)

    def list_cell(session: Session, cell: Cell) -> pa.Table:
        return feedback_customers(session.snapshot, cell)

    return run_analysis(
        "feedback",
        config,
        analyse,
        list_cell,
        out=out,
        customers=customers,
        as_of=as_of,
        progress=progress,
    )


def feedback_analysis(session: Session, *, scores: pa.Table | None = None) -> Analysis:
    """The feedback at the session's date; the worklist by the value at risk in the scores."""
    worth = None if scores is None else Worth.of_scores(scores)
    session.progress("reading the feedback")
    days = active_days(session, session.settings.metrics.active_days)
    return analyse_feedback(session.snapshot, active_days=days, worth=worth)
