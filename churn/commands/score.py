"""`churn score`: churn probability, value at risk and reasons of every known customer."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.analytics.segmentation import Segmentation
from churn.commands.agreement import check_agreement
from churn.commands.customer_lists import customers_to_explain
from churn.commands.previous_results import SCORES, earlier_scores, figures_of, guarded
from churn.commands.segment_bounds import freeze, frozen_bounds
from churn.commands.session import Progress, Session, inputs, open_session, silent
from churn.commands.summaries.scores import (
    BASE,
    CHANGED,
    base_table,
    changes_table,
    score_metrics,
)
from churn.config import Settings
from churn.modeling.bundle import load_bundle
from churn.modeling.manifest import CHAMPION, judged_provisionally
from churn.modeling.model import ChurnModel
from churn.modeling.registry.versions import bundle_from_registry
from churn.results.job_result import JobResult
from churn.results.output import RowWriter, TableWriter, check_out, guard_notes, outputs
from churn.scoring.changes import EarlierScores
from churn.scoring.score import SCORE_SCHEMA, Explained, Scores, score_snapshot
from churn.storage.postgres.address import Place, place_of

PROVISIONAL = (
    "the model was judged provisionally, in a history too short for the gate: `churn train` judges "
    "it fully from about five and a half horizons of orders on"
)
"""A note on every scoring by such a model."""


def score(  # noqa: PLR0913 - the options of the command, each by its own name
    config: Path,
    *,
    out: Place | str,
    as_of: str | None = None,
    model: str | None = None,
    explain: str = "at-risk",
    since: Place | str | None = None,
    run_id: str | None = None,
    accept_change: bool = False,
    progress: Progress = silent,
) -> JobResult:
    """The scores of every customer known before `as_of`, written to `out` (.parquet, .csv, or a
    table, `postgresql://…#table`).

    `model` is a bundle's folder, a pointer such as `models/champion` (the default), or a
    `models:/…` address in MLflow's registry. `explain` selects the customers with reasons:
    `at-risk`, `all`, `none`, or a file of customers. Changes are relative to the earlier scores in
    `since`, else in `out`. A run with the same `run_id` replaces an earlier one in a table. Scores
    that differ implausibly from those in `out` do not replace them, unless `accept_change`; see
    `churn.commands.previous_results`.
    """
    asked = customers_to_explain(explain)
    target, kept = place_of(out), inputs(config)
    check_out(target, SCORES, keep=kept)
    with (
        open_session("score", config, as_of=as_of, progress=progress, run_id=run_id) as session,
        session.writing_result(target, SCORES, keep=kept) as writer,
    ):
        if not isinstance(asked, str):
            asked = {session.settings.same_customer(name) for name in asked}
        fitted = load_named_model(session, model)
        before = None if since is None else place_of(since)
        earlier, notes = earlier_scores(target, before, as_of=session.as_of)
        scores = score_session(session, fitted, explain=asked, earlier=earlier)
        figures, changed = guarded(
            session,
            target,
            scores.customer_ids,
            figures_of(session, scores.predicted, fitted.clock_.horizon_days),
            asked=as_of is not None,
            accept_change=accept_change,
        )
        facts = {"figures": figures.to_dict()}
        session.facts |= facts
        _write(writer, scores, {**_facts(session, fitted, scores, earlier), **facts})
    notes += (
        *changed,
        *guard_notes(writer),
        *_unknown(scores, asked),
        *_model_notes(fitted, earlier),
    )
    notes += _rank_note(session, earlier)
    notes += foreknowledge(fitted, session.as_of)
    return _result(session, fitted, scores, outputs(target, writer), notes)


def _write(writer: RowWriter, scores: Scores, facts: dict[str, Any]) -> None:
    """Writes the scores; batch by batch where the place allows it."""
    if isinstance(writer, TableWriter) and writer.streams:
        writer.write_batches(scores.batches(), SCORE_SCHEMA, facts)
    else:
        writer.write(scores.table, facts)


def score_session(
    session: Session,
    fitted: ChurnModel,
    *,
    explain: Explained = "at_risk",
    earlier: EarlierScores | None = None,
) -> Scores:
    """The scores of all customers at the session's date."""
    session.progress("scoring")
    bounds = frozen_bounds(session)
    scores = score_snapshot(
        fitted,
        session.snapshot,
        capacity=session.settings.scoring.capacity,
        rank=session.settings.scoring.rank,
        language=session.settings.scoring.language,
        explain=explain,
        earlier=earlier,
        run_id=session.run_id,
        bounds=bounds,
    )
    if bounds is None:
        freeze(session, Segmentation(scores.bounds))
    session.facts |= {"model_id": fitted.manifest_["model_id"], "rows": len(scores)}
    return scores


def load_named_model(session: Session, model: str | None) -> ChurnModel:
    """The given bundle, after its files were verified; by default the champion."""
    settings = session.settings
    if model is not None and model.startswith("models:/"):
        fitted = _fetched(settings, model)
    else:
        place = settings.path(settings.model.directory) / CHAMPION if model is None else Path(model)
        fitted = load_bundle(place, signing_key=session.signing_key)
    check_agreement(settings, fitted)
    return fitted


def foreknowledge(fitted: ChurnModel, as_of: date) -> tuple[str, ...]:
    """A note if the model was trained on data from `as_of` on."""
    until = fitted.cutoffs_.until
    if until <= as_of:
        return ()
    return (
        f"the model was trained on data after {as_of}, up to before {until}: these scores are "
        "contaminated by the future; do not use them for evaluation",
    )


def _fetched(settings: Settings, address: str) -> ChurnModel:
    """The model at an address of the registry; its copy on disk is removed after loading."""
    place = bundle_from_registry(settings.tracking, address, folder=settings.folder)
    try:
        return load_bundle(place, signing_key=settings.model.signing_key)
    finally:
        shutil.rmtree(place.parent, ignore_errors=True)


def _facts(
    session: Session, fitted: ChurnModel, scores: Scores, earlier: EarlierScores | None
) -> dict[str, object]:
    return {
        "run_id": session.run_id,
        "as_of": str(session.as_of),
        "model_id": fitted.manifest_["model_id"],
        "model_judged": "provisionally" if judged_provisionally(fitted.manifest_) else "fully",
        "at_risk_from": scores.threshold,
        "rank": session.settings.scoring.rank,
        "language": session.settings.scoring.language,
        "since": None if earlier is None else earlier.facts(),
        "dropped": dict(scores.dropped),
        "population": dict(scores.population),
    }


def _unknown(scores: Scores, asked: Explained) -> tuple[str, ...]:
    """A note if customers to explain are not among the scored."""
    if isinstance(asked, str):
        return ()
    listed = pa.array(sorted(set(asked)), pa.string())
    unknown = len(listed) - (pc.sum(pc.is_in(listed, value_set=scores.customer_ids)).as_py() or 0)
    return (f"{unknown:,} of the customers to explain are not scored",) if unknown else ()


def _model_notes(fitted: ChurnModel, earlier: EarlierScores | None) -> tuple[str, ...]:
    """Notes if the earlier scores come from another model or horizon."""
    if earlier is None:
        return ()
    notes = []
    if earlier.model_id != fitted.manifest_["model_id"]:
        other = f"the scores of {earlier.as_of} come from another model, {earlier.model_id}"
        notes.append(f"{other}: changes of probability may be due to the model")
    if earlier.horizon_days != fitted.clock_.horizon_days:
        other = f"the scores of {earlier.as_of} have a horizon of {earlier.horizon_days} days"
        notes.append(f"{other}: their probabilities are not compared")
    return tuple(notes)


def _rank_note(session: Session, earlier: EarlierScores | None) -> tuple[str, ...]:
    """A note if the earlier customers at risk were ranked by another criterion."""
    rank = session.settings.scoring.rank
    if earlier is None or earlier.rank in (None, rank):
        return ()
    return (
        f"the scores of {earlier.as_of} were ranked by {earlier.rank}, these by {rank}: customers "
        "may be newly at risk, or outranked, for that reason alone",
    )


def _result(
    session: Session,
    fitted: ChurnModel,
    scores: Scores,
    files: dict[Path | str, str],
    notes: tuple[str, ...],
) -> JobResult:
    if not len(scores):
        notes = (f"no customers are known before {session.as_of}: the scores are empty", *notes)
    stand_in = fitted.stand_in
    if stand_in is not None:
        notes = (f"the baseline {stand_in} is used as fallback model", *notes)
    if judged_provisionally(fitted.manifest_):
        notes = (PROVISIONAL, *notes)
    currency = session.settings.data.currency
    return JobResult(
        command="score",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={
            "horizon_days": fitted.clock_.horizon_days,
            "at_risk_from": scores.threshold,
            "rank": session.settings.scoring.rank,
        },
        rows={"scores": len(scores)},
        audits=session.tables.audits,
        left_out={"customers": scores.dropped},
        model_id=fitted.manifest_["model_id"],
        metrics=score_metrics(scores.select([*BASE, *CHANGED])),
        files=files,
        warnings=notes,
        tables=(
            base_table(scores.select(BASE), session.as_of, currency),
            *changes_table(scores.select(CHANGED)),
        ),
    )
