"""`churn evaluate`: the evaluation of a model on cutoffs after its training data."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from churn.commands.score import load_named_model
from churn.commands.session import Progress, Session, open_session, silent
from churn.commands.summaries.judgements import (
    amount_notes,
    gate_dict,
    gate_table,
    judgement_tables,
    report_tables,
)
from churn.data.cutoffs import Cutoffs
from churn.errors import GateError, check_extra
from churn.modeling.audit import audit_days, purchase_days_ahead, sample_customers
from churn.modeling.card import evaluation_card
from churn.modeling.dataset import Dataset, build_dataset
from churn.modeling.evaluate import Evaluation
from churn.modeling.evaluate import evaluate as judge_model
from churn.modeling.feasible import check_can_judge
from churn.modeling.gate import Gate, judge
from churn.modeling.judgement.horizons import try_horizons
from churn.modeling.judgement.importance import ablate
from churn.modeling.judgement.judgement import Judgement, judge_run
from churn.modeling.judgement.pictures import judgement_files
from churn.modeling.judgement.pooled import forward_forecasts
from churn.modeling.judgement.predictions import TestPredictions
from churn.modeling.manifest import resolve_bundle
from churn.modeling.model import ChurnModel
from churn.modeling.training import forecasts_of
from churn.results.job_result import JobResult, hashed
from churn.storage.manifests import hash_files
from churn.storage.publish import publish_directory

EXTRAS = ("pooled", "ablation", "horizons")
"""Parts of the report that refit the recipe, and are therefore optional."""

SCHEMA = 1


def evaluate(
    config: Path,
    *,
    as_of: str | None = None,
    model: str | None = None,
    out: Path | None = None,
    extras: Collection[str] = (),
    progress: Progress = silent,
) -> JobResult:
    """The model compared with its baselines on every cutoff at or after the end of its training
    data whose label is mature at `as_of`, as a folder of figures, charts and a report.

    `out` (default: `reports/<model_id>-<run_id>` next to the model) must not exist yet. `extras`
    are some of `EXTRAS`. Raises GateError if there is no such cutoff yet, and ConfigError without
    the packages that draw the charts.
    """
    check_extra("report", "altair", what="a report with charts")
    with open_session("evaluate", config, as_of=as_of, progress=progress) as session:
        fitted = load_named_model(session, model)
        later = _later_cutoffs(fitted, session.as_of)
        folder = out or _default_folder(session, fitted, model)
        with publish_directory(folder) as unfinished:
            dataset = _dataset(session, fitted, later)
            judgement, gate = _judge(session, fitted, dataset, later, extras)
            _write(session, fitted, judgement, gate, unfinished)
        session.facts |= {"model_id": fitted.manifest_["model_id"]}
    evaluation = judgement.evaluation
    return JobResult(
        command="evaluate",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"cutoffs": list(evaluation.cutoffs), "horizon_days": later.horizon_days},
        rows=_counted(dataset, later),
        audits=session.tables.audits,
        model_id=fitted.manifest_["model_id"],
        metrics={**evaluation.to_dict(), "judgement": judgement.to_dict()},
        gate=gate_dict(gate, promoted=None),
        files=hashed(folder / "card.md", folder / "judgement.json"),
        warnings=(*gate.warnings, *amount_notes(evaluation)),
        tables=(*judgement_tables(evaluation), *report_tables(judgement), gate_table(gate)),
    )


def _default_folder(session: Session, fitted: ChurnModel, model: str | None) -> Path:
    """Next to the given model; for one from the registry, in the configured folder of models."""
    if model is None or model.startswith("models:/"):
        models = session.settings.path(session.settings.model.directory)
    else:
        models = resolve_bundle(Path(model)).parent
    return models / "reports" / f"{fitted.manifest_['model_id']}-{session.run_id}"


def _dataset(session: Session, fitted: ChurnModel, later: Cutoffs) -> Dataset:
    """Rows at the training cutoffs and at those after it; of a sample of the customers if there
    are more than `most_rows`.
    """
    session.progress("building features and labels")
    every = replace(later, dates=(*fitted.cutoffs_.dates, *later.dates))
    return build_dataset(
        session.tables,
        every,
        fitted.clock_,
        names=fitted.feature_names_,
        most_rows=session.settings.model.most_rows,
    )


def _counted(dataset: Dataset, later: Cutoffs) -> dict[str, int]:
    """The number of rows evaluated, and of customers left out by sampling."""
    left_out = {
        "customers_left_out": dataset.customers_left_out,
        "objectors_left_out": dataset.objectors_left_out,
    }
    counts = {"eligible": len(dataset.only(later).eligible)}
    return counts | {name: count for name, count in left_out.items() if count}


def _judge(
    session: Session,
    fitted: ChurnModel,
    dataset: Dataset,
    later: Cutoffs,
    extras: Collection[str],
) -> tuple[Judgement, Gate]:
    learnt, test = dataset.only(fitted.cutoffs_), dataset.only(later)
    check_can_judge(test)
    session.progress("evaluating")
    evaluation = judge_model(fitted, test, seed=fitted.seed)
    pooled = "pooled" in extras
    judgement = judge_run(
        fitted,
        test,
        evaluation,
        history=learnt,
        forecasts=forward_forecasts(fitted, learnt, progress=session.progress) if pooled else None,
        capacity=session.settings.scoring.capacity,
        rank=session.settings.scoring.rank,
        seed=fitted.seed,
    )
    if "ablation" in extras:
        tested = TestPredictions.of(fitted, test, evaluation)
        ablation = ablate(fitted, learnt, tested, seed=fitted.seed, progress=session.progress)
        judgement = replace(judgement, ablation=ablation)
    if "horizons" in extras:
        horizons = try_horizons(
            fitted,
            session.tables,
            session.as_of,
            fitted.clock_,
            names=fitted.feature_names_,
            lead_days=later.lead_days,
            grace_days=later.grace_days,
            most_rows=session.settings.model.most_rows,
            seed=fitted.seed,
            progress=session.progress,
        )
        judgement = replace(judgement, horizons=horizons)
    return judgement, _gate(session, fitted, test, evaluation)


def _gate(session: Session, fitted: ChurnModel, test: Dataset, evaluation: Evaluation) -> Gate:
    sample = sample_customers(test)
    return judge(
        evaluation,
        forecasts_of(fitted, test, evaluation.best_baseline),
        leaks=audit_days(sample, purchase_days_ahead(session.tables, sample)),
        seed=fitted.seed,
    )


def _write(
    session: Session, fitted: ChurnModel, judgement: Judgement, gate: Gate, folder: Path
) -> None:
    """Writes the report, the figures, the charts, and a manifest with their hashes."""
    model_id = fitted.manifest_["model_id"]
    card = evaluation_card(
        judgement,
        fitted,
        model_id=model_id,
        verdict=gate.reasons[0],
    )
    (folder / "card.md").write_text(card, encoding="utf-8")
    for name, content in judgement_files(judgement).items():
        (folder / name).write_bytes(content)
    manifest: Mapping[str, Any] = {
        "schema": SCHEMA,
        "model_id": model_id,
        "run_id": session.run_id,
        "as_of": str(session.as_of),
        "cutoffs": list(judgement.evaluation.cutoffs),
        "files": hash_files(folder),
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def _later_cutoffs(fitted: ChurnModel, end: date) -> Cutoffs:
    """Cutoffs from the end of the training data on, half a horizon apart, with mature labels."""
    trained = fitted.cutoffs_
    reach_days = trained.closing_days + trained.arrival_lag_days
    newest = (end - trained.until).days - reach_days
    if newest < 0:
        raise GateError(
            f"a model is evaluated on cutoffs from {trained.until} on, the end of its training "
            "data, once their labels are mature",
            got=f"data until {end} and {reach_days} days to a mature label",
            fix="Wait for newer data; the evaluation at training is in the model's card.md.",
        )
    steps = range(0, newest + 1, fitted.clock_.window_days)
    dates = tuple(trained.until + timedelta(days=step) for step in steps)
    return replace(trained, dates=dates, until=end)
