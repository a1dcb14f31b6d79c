"""`churn evaluate`: the judgement of a model again, on cutoffs that came after its training."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from churn.data.cutoffs import Cutoffs
from churn.errors import GateError
from churn.jobs.gate import gate_dict, gate_table
from churn.jobs.result import JobResult, dropped_rows
from churn.jobs.score import load_named_model
from churn.jobs.session import Progress, open_session, silent
from churn.jobs.train import judgement_tables
from churn.modeling.audit import audit_days, purchase_days_ahead, some_customers
from churn.modeling.dataset import build_dataset
from churn.modeling.evaluate import evaluate as judge_model
from churn.modeling.gate import judge
from churn.modeling.model import ChurnModel
from churn.modeling.training import forecasts_of

__all__ = ["evaluate"]


def evaluate(
    config: Path,
    *,
    as_of: str | None = None,
    model: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The model beside its baselines on every cutoff at or after the end of its training data
    whose label is mature at `as_of`. Raises GateError where there is none yet.
    """
    with open_session("evaluate", config, as_of=as_of, progress=progress) as session:
        fitted = load_named_model(session, model)
        cutoffs = _later_cutoffs(fitted, session.as_of)
        progress("building features and labels")
        dataset = build_dataset(session.tables, cutoffs, fitted.clock_, names=fitted.feature_names_)
        progress("judging")
        evaluation = judge_model(fitted, dataset, seed=fitted.seed)
        forecasts = forecasts_of(fitted, dataset, evaluation.best_baseline)
        some = some_customers(dataset)
        leaks = audit_days(some, purchase_days_ahead(session.tables, some))
        gate = judge(evaluation, forecasts, leaks=leaks, seed=fitted.seed)
        model_id = fitted.manifest_["model_id"]
        session.facts |= {"model_id": model_id}
    return JobResult(
        command="evaluate",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"cutoffs": list(evaluation.cutoffs), "horizon_days": cutoffs.horizon_days},
        rows={"eligible": len(dataset.eligible)},
        dropped=dropped_rows(session.tables.audits),
        model_id=model_id,
        metrics=evaluation.to_dict(),
        gate=gate_dict(gate, promoted=None),
        warnings=gate.warnings,
        tables=(*judgement_tables(evaluation), gate_table(gate)),
    )


def _later_cutoffs(fitted: ChurnModel, end: date) -> Cutoffs:
    """From the end of the training data on, half a horizon apart, while labels are mature."""
    trained = fitted.cutoffs_
    reach_days = trained.reach_days + trained.arrival_lag_days
    newest = (end - trained.until).days - reach_days
    if newest < 0:
        raise GateError(
            f"a model is judged again on cutoffs from {trained.until} on, where its training data "
            "ends, once their labels are mature",
            got=f"data until {end} and {reach_days} days to a mature label",
            fix="Wait for newer data; the judgement at training is in the model's card.md.",
        )
    steps = range(0, newest + 1, fitted.clock_.window_days)
    dates = tuple(trained.until + timedelta(days=step) for step in steps)
    return Cutoffs(dates, trained.horizon_days, end, trained.lead_days, trained.arrival_lag_days)
