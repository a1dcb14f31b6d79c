"""`churn score`: every known customer's probability, value at risk and reasons, as a table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from churn.config import Settings
from churn.data.tables import Tables
from churn.errors import ConfigError
from churn.jobs.output import writing_table
from churn.jobs.result import JobResult, Line, dropped_rows, hashed
from churn.jobs.session import Progress, Session, inputs, open_session, silent
from churn.modeling.bundle import load_bundle
from churn.modeling.manifest import CHAMPION
from churn.modeling.model import ChurnModel
from churn.modeling.tracking import bundle_from_registry
from churn.scoring.score import RISK_BANDS, Scores, score_snapshot

__all__ = ["check_agreement", "load_named_model", "score", "score_session"]


def score(
    config: Path,
    *,
    out: Path,
    as_of: str | None = None,
    model: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """The scores of every customer known before `as_of`, written to `out` (.parquet or .csv).

    `model` is a bundle's folder, a pointer such as `models/champion` (the default), or a
    `models:/…` address in MLflow's registry.
    """
    with (
        open_session("score", config, as_of=as_of, progress=progress) as session,
        writing_table(out, keep=inputs(config)) as writer,
    ):
        fitted = load_named_model(session, model)
        scores = score_session(session, fitted, progress=progress)
        writer.write(scores.table, _facts(session, fitted, scores))
    return _result(session, fitted, scores, out, session.tables)


def score_session(session: Session, fitted: ChurnModel, *, progress: Progress) -> Scores:
    """The scores of the session's base at its date."""
    progress("scoring")
    scores = score_snapshot(
        fitted,
        session.tables.as_of(session.as_of),
        capacity=session.settings.scoring.capacity,
        run_id=session.run_id,
    )
    session.facts |= {"model_id": fitted.manifest_["model_id"], "rows": scores.table.num_rows}
    return scores


def load_named_model(session: Session, model: str | None) -> ChurnModel:
    """The bundle that was asked for, every file of it checked; by default the champion."""
    settings = session.settings
    if model is None:
        place = settings.path(settings.model.directory) / CHAMPION
    elif model.startswith("models:/"):
        place = bundle_from_registry(settings.tracking, model, folder=settings.folder)
    else:
        place = Path(model)
    fitted = load_bundle(place)
    check_agreement(settings, fitted)
    return fitted


def check_agreement(settings: Settings, fitted: ChurnModel) -> None:
    """Nothing, or ConfigError when the settings say something else than the model was made with."""
    learnt = fitted.manifest_["data"]
    pairs = {
        "[churn] mode": (settings.churn.mode, fitted.clock_.mode),
        "[churn] horizon_days": (settings.churn.horizon_days, fitted.clock_.horizon_days),
        "[churn] lookback_days": (settings.churn.lookback_days, fitted.clock_.lookback_days),
        "[churn] min_tenure_days": (settings.churn.min_tenure_days, fitted.clock_.min_tenure_days),
        "[churn] lead_days": (settings.churn.lead_days, fitted.cutoffs_.lead_days),
        "[value] margin_rate": (settings.value.margin_rate, fitted.margin_rate),
        "[data] currency": (settings.data.currency, learnt["currency"]),
        "[data] day_timezone": (settings.data.day_timezone, learnt["day_timezone"]),
    }
    if fitted.clock_.is_contractual:
        grace = (settings.churn.grace_days, fitted.cutoffs_.grace_days)
        pairs["[churn] grace_days"] = grace
    for key, (now, then) in pairs.items():
        if now not in ("auto", then):
            rule = f"{key} must be what the model was trained with, {then!r}"
            raise ConfigError(rule, got=repr(now), fix="Put it back, or train again.")


def _facts(session: Session, fitted: ChurnModel, scores: Scores) -> dict[str, object]:
    return {
        "run_id": session.run_id,
        "as_of": str(session.as_of),
        "model_id": fitted.manifest_["model_id"],
        "at_risk_from": scores.threshold,
        "dropped": dict(scores.dropped),
    }


def _result(
    session: Session, fitted: ChurnModel, scores: Scores, out: Path, tables: Tables
) -> JobResult:
    frame = scores.table.select(["status", "risk_band", "value_at_risk"]).to_pandas()
    frame["risk_band"] = pd.Categorical(frame["risk_band"], categories=RISK_BANDS, ordered=True)
    groups = frame.groupby(["status", "risk_band"], observed=True)
    counts = groups["value_at_risk"].agg(["size", "sum"])
    rows: list[Line] = [
        (status, band, f"{int(row['size']):,}", f"{row['sum']:,.2f}")
        for (status, band), row in counts.iterrows()
    ]
    currency = session.settings.data.currency
    header = ("status", "risk", "customers", f"value at risk, {currency}")
    dropped = dropped_rows(tables.audits)
    if scores.dropped:
        dropped["customers"] = dict(scores.dropped)
    stand_in = fitted.stand_in
    note = () if stand_in is None else (f"the baseline {stand_in} stands in for a model",)
    return JobResult(
        command="score",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": fitted.clock_.horizon_days, "at_risk_from": scores.threshold},
        rows={"scores": scores.table.num_rows},
        dropped=dropped,
        model_id=fitted.manifest_["model_id"],
        files=hashed(out),
        warnings=note,
        tables=(
            (f"{scores.table.num_rows:,} customers as of {session.as_of}", header, tuple(rows)),
        ),
    )
