"""What `churn publish` gathers: scores and plan on record or computed, the analyses, the measured
campaigns and the model. A part that cannot run is named with what to connect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.commands.cohorts import cohorts_analysis
from churn.commands.feedback import feedback_analysis
from churn.commands.journey import journey_analysis
from churn.commands.metrics import metrics_analysis
from churn.commands.model_store import ModelStore
from churn.commands.monitor import monitored
from churn.commands.previous_results import PLANS, SCORES
from churn.commands.score import foreknowledge, load_named_model, score_session
from churn.commands.segments import segments_analysis
from churn.commands.session import Session
from churn.commands.signals import signals_analysis
from churn.commands.summaries.scores import score_metrics
from churn.data.erased import without_erased
from churn.errors import BusyError, ChurnError, ConfigError
from churn.modeling.bundle import REPORT
from churn.modeling.manifest import CHAMPION, read_manifest, resolve_bundle
from churn.results.job_result import table_warnings
from churn.results.output import read_result
from churn.scoring.score import SCORE_SCHEMA
from churn.storage.erasures import outputs
from churn.storage.manifests import verify_file
from churn.storage.postgres.address import Place
from churn.storage.records import Run

NO_MEASUREMENT = (
    "no campaign was measured yet: `churn measure` compares a plan with its holdout once its "
    "horizon has passed"
)
MEASUREMENTS_SHOWN = 24


@dataclass
class Parts:
    """The documents by name, the reason for each that is missing, notes by part, and the tables
    that they were made from.
    """

    documents: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    scores: pa.Table | None = None
    plan: pa.Table | None = None
    model_id: str | None = None
    model_as_of: date | None = None

    def add(self, name: str, make: Callable[[], Any]) -> None:
        """The document that the function returns; or why there is none. BusyError is raised."""
        try:
            self.documents[name] = make()
        except BusyError:
            raise
        except ChurnError as failure:
            self.missing[name] = str(failure)

    def note(self, name: str, notes: tuple[str, ...]) -> None:
        """Notes of a part, in the words of its command."""
        if notes:
            self.notes[name] = [*self.notes.get(name, []), *notes]


def gather(
    session: Session, *, scores: Place | None, plan: Place | None, checks: Path | None = None
) -> Parts:
    """Everything that is published. `scores` and `plan` are those to publish; without them, those
    on record for the session's date, else new scores and no plan. `checks` is the file of
    monitoring that a nightly run wrote; without it the champion is checked.

    ConfigError if a given place is of another date.
    """
    parts = Parts()
    parts.note("tables", table_warnings(session.tables.audits))
    parts.add("model", lambda: _model(session, parts))
    parts.add("score", lambda: _score(session, parts, scores))
    parts.add("plan", lambda: _plan(session, parts, plan))
    for name, analyse in _ANALYSES.items():
        parts.add(name, lambda analyse=analyse, name=name: _told(parts, name, analyse(session)))  # type: ignore[misc]
    parts.add(
        "feedback",
        lambda: _told(parts, "feedback", feedback_analysis(session, scores=parts.scores)),
    )
    parts.add("monitor", lambda: _monitored(session, parts, checks))
    found = measurements(session)
    if found:
        parts.documents["measurements"] = found
    else:
        parts.missing["measurements"] = NO_MEASUREMENT
    return parts


def _monitored(session: Session, parts: Parts, checks: Path | None) -> dict[str, Any]:
    """The checks of the champion; nothing is alerted."""
    import json

    if checks is None:
        return _told(parts, "monitor", monitored(session, load_named_model(session, None)))
    document: dict[str, Any] = json.loads(checks.read_bytes())
    parts.note("monitor", tuple(document.pop("notes")))
    told = (document["as_of"], document["resolved"]["model_id"])
    if told != (str(session.as_of), parts.model_id):
        rule = f"the checks must be of the champion as of {session.as_of}"
        raise ConfigError(rule, got=" of ".join(map(str, told)), fix="Run `churn monitor`.")
    return document


_ANALYSES: dict[str, Callable[[Session], Analysis]] = {
    "metrics": metrics_analysis,
    "cohorts": cohorts_analysis,
    "segments": segments_analysis,
    "journey": journey_analysis,
    "signals": signals_analysis,
}


def _told(parts: Parts, name: str, found: Analysis) -> dict[str, Any]:
    parts.note(name, found.notes)
    return found.to_dict()


def _score(session: Session, parts: Parts, given: Place | None) -> dict[str, Any]:
    place = given or _on_record(session, "score")
    if place is None:
        fitted = load_named_model(session, None)
        parts.scores = score_session(session, fitted).table
        parts.note("score", foreknowledge(fitted, session.as_of))
    else:
        session.progress("reading the scores")
        rows, _ = read_result(place, SCORES)
        _check_date(rows, session.as_of, option="--scores", command="score")
        parts.scores = without_erased(rows, session.erased)
    ids = parts.scores["model_id"].unique().to_pylist()
    if parts.model_id is not None and ids and ids != [parts.model_id]:
        parts.note("score", (f"the scores are of the model {ids[0]}, not of the champion",))
    return score_metrics(parts.scores)


def _plan(session: Session, parts: Parts, given: Place | None) -> dict[str, Any]:
    """The summary of the plan, whose rows become `parts.plan`; ConfigError without a plan."""
    place = given or _on_record(session, "plan")
    if place is not None:
        session.progress("reading the plan")
        rows, facts = read_result(place, PLANS, what="plan", command="plan")
        _check_date(rows, session.as_of, option="--plan", command="plan")
        if facts is None or "value_curve" not in facts:
            rule = "--plan must lie next to the manifest that `churn plan` wrote"
            raise ConfigError(rule, fix="Plan again, and move both files together.")
        if not _is_current(session, facts):
            parts.note("plan", ("this plan is not on record: it is a dry run, or was replaced",))
        parts.plan = without_erased(rows, session.erased)
        return {name: facts[name] for name in facts if name not in ("run_id", "as_of", "rows")}
    recorded = _recorded_plan(session)
    if recorded is None:
        rule = f"there must be a plan on record as of {session.as_of}"
        raise ConfigError(rule, got="none", fix="Make one with `churn plan`.")
    run, parts.plan = recorded
    return dict(run.facts["summary"])


def _check_date(rows: pa.Table, as_of: date, *, option: str, command: str) -> None:
    dates = rows["as_of"].unique().to_pylist() if rows.num_rows else [as_of]
    if dates != [as_of]:
        rule = f"{option} must be as of the date that is published, {as_of}"
        fix = f"Run `churn {command}` for that date, or pass --as-of."
        raise ConfigError(rule, got=", ".join(map(str, sorted(dates))), fix=fix)


def _on_record(session: Session, command: str) -> Path | None:
    """The newest file that the command wrote for the session's date and that is unaltered; of
    plans, the one on record.
    """
    found = []
    for target, by in outputs(session.ledger).items():
        path = Path(target)
        if by != command or path.suffix != ".parquet" or not path.is_file():
            continue
        try:
            facts = verify_file(path)
        except BusyError:
            raise
        except ChurnError:
            continue
        if facts is None or facts.get("as_of") != str(session.as_of):
            continue
        if command == "score" or _is_current(session, facts):
            found.append((path.stat().st_mtime_ns, path))
    return max(found)[1] if found else None


def _is_current(session: Session, facts: dict[str, Any]) -> bool:
    campaign = facts.get("campaign_id")
    return campaign is not None and session.ledger.is_planned(
        str(facts.get("run_id")), campaign_id=campaign, as_of=session.as_of
    )


def _recorded_plan(session: Session) -> tuple[Run, pa.Table] | None:
    """The plan of the date in the ledger, without what only its file has."""
    with session.ledger.reading() as connection:
        newest = connection.execute(
            "SELECT run_id FROM planned WHERE as_of = ? ORDER BY run_id DESC LIMIT 1",
            (session.as_of.isoformat(),),
        ).fetchone()
        if newest is None:
            return None
        rows = connection.execute(
            "SELECT customer_id, offer_id, channel, arm, propensity FROM plans WHERE run_id = ?",
            newest,
        ).fetchall()
    run = session.ledger.run(newest[0])
    if run is None or not rows or "summary" not in run.facts:
        return None
    names = ("customer_id", "offer_id", "channel", "arm", "propensity")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    return run, without_erased(table, session.erased)


def measurements(session: Session) -> list[dict[str, Any]]:
    """The newest result of each measured plan, by `churn measure`, newest plan first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in session.ledger.runs("measure"):
        facts = run.facts
        if run.status != "done" or "money" not in facts or "plan_as_of" not in facts:
            continue
        if run.as_of is not None and run.as_of > session.as_of:
            continue
        found.setdefault((facts["campaign_id"], facts["plan_as_of"]), facts)
    ordered = sorted(found.values(), key=lambda one: (one["plan_as_of"], one["campaign_id"]))
    return ordered[::-1][:MEASUREMENTS_SHOWN]


def _model(session: Session, parts: Parts) -> dict[str, Any]:
    """The champion: its manifest without hashes, its evaluation and its card."""
    import json

    pointer = session.settings.path(session.settings.model.directory) / CHAMPION
    manifest = read_manifest(pointer, signing_key=session.signing_key)
    folder = resolve_bundle(pointer)
    parts.model_id = manifest["model_id"]
    parts.model_as_of = date.fromisoformat(manifest["as_of"]) if manifest.get("as_of") else None
    document = {name: value for name, value in manifest.items() if name not in ("files", "folds")}
    judged, card = folder / REPORT / "judgement.json", folder / "card.md"
    if judged.is_file():
        document["judgement"] = json.loads(judged.read_text(encoding="utf-8"))
    if card.is_file():
        document["card"] = card.read_text(encoding="utf-8")
    document["promotions"] = _promotions(session)
    document["pictures"] = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((folder / REPORT).glob("*.svg"))
    }
    return document


def _promotions(session: Session) -> list[dict[str, Any]]:
    """The moves of the pointer to the champion, newest first."""
    name = ModelStore.of(session.settings).name
    return [
        {
            "promoted_at": None if one.promoted_at is None else one.promoted_at.isoformat(),
            "model_id": one.model_id,
            "previous": one.previous,
            "cause": str(one.cause),
            "reason": one.reason,
        }
        for one in reversed(session.ledger.promotions(name))
    ]


def rows_to_measure(session: Session) -> pa.Table:
    """customer_id, status, recency_days, frequency (purchase days) and monetary (net spend), each
    over the whole history before the session's date, as features count them.
    """
    from churn.commands.session import resolve_clock
    from churn.data.consent import current_objectors
    from churn.features.builder import build_features

    frame = build_features(
        session.tables,
        [session.as_of],
        resolve_clock(session),
        names=("recency_days", "purchase_days", "net_spend"),
        undated=True,
    )
    rows = session.tables.engine.collect(frame)
    objecting = current_objectors(session.tables)
    if objecting:
        import pyarrow.compute as pc

        listed = pa.array(sorted(objecting), pa.string())
        rows = rows.filter(pc.invert(pc.is_in(rows["customer_id"], value_set=listed)))
    names = {"purchase_days": "frequency", "net_spend": "monetary"}
    chosen = rows.select(["customer_id", "status", "recency_days", *names])
    return chosen.rename_columns([names.get(name, name) for name in chosen.column_names])


def scores_base(scores: pa.Table) -> pa.Table:
    """The columns of scores that are published."""
    names = (
        *("customer_id", "as_of", "status", "segment", "churn_probability", "risk_band"),
        *("value_at_risk", "at_risk", "reasons", "reason_families"),
    )
    return scores.select([name for name in names if name in SCORE_SCHEMA.names])
