"""`churn train`: train, evaluate on later cutoffs, write the bundle, promote it if it passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn.commands.check import in_place_notes
from churn.commands.model_store import ModelStore, followed, record
from churn.commands.session import Progress, Session, open_session, resolve_from_settings, silent
from churn.commands.summaries.judgements import (
    amount_notes,
    apart_table,
    cutoffs_in_words,
    gate_dict,
    gate_table,
    judgement_tables,
)
from churn.data.lineage import lineage_of
from churn.errors import BusyError, GateError, ModelError, OutdatedModelError, StorageError
from churn.features.catalogue import feature_names
from churn.modeling.bundle import check_canaries, write_bundle
from churn.modeling.card import campaigns_in_words, model_card
from churn.modeling.feasible import feasibility_notes
from churn.modeling.judgement.drawing import INSTALL, can_draw
from churn.modeling.judgement.pictures import judgement_files
from churn.modeling.manifest import CHAMPION, judged_provisionally
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel
from churn.modeling.registry.store import check_driver
from churn.modeling.training import Trained, train_model, with_fallback
from churn.modeling.tuning import Tuned
from churn.results.figures import difference
from churn.results.job_result import JobResult, Table, hashed

REFUSED = "-refused"
OUTDATED = "not compared with the champion: {name} was written by another release"


def train(
    config: Path,
    *,
    as_of: str | None = None,
    models: Path | None = None,
    progress: Progress = silent,
) -> JobResult:
    """A model trained on what was known before `as_of` (default: the end of the data).

    The bundle is always written to `models` (default: [model] directory). It becomes the champion
    if it passes the gate; if it does not and there is no champion, the best baseline becomes the
    fallback model, unless its own tables leak. If a feature leaks, the exit code is 4 in any case.

    In a history too short for the gate, the model is judged provisionally: it becomes the champion
    unless a feature leaks, or the present champion passed the full gate.
    """
    with open_session("train", config, as_of=as_of, progress=progress) as session:
        settings = session.settings
        check_driver(settings.tracking)
        store = ModelStore.of(settings, models)
        champion = store.champion
        if not session.tables.audits["orders"].rows_kept:
            rule = "a model needs orders to learn from"
            raise GateError(rule, got="0 usable rows", fix="Check [data.orders] source.")
        lineage = lineage_of(settings.data, settings.folder, session.tables.fetched)
        progress("resolving the panel")
        panel = resolve_from_settings(session)
        active, unreadable, outdated = _champion(session, store)
        recipe = ChurnModel(seed=settings.model.seed, margin_rate=settings.value.margin_rate)
        trained = train_model(
            recipe,
            session.tables,
            panel,
            names=feature_names(session.tables.connected(), settings.features.families),
            champion=active,
            tune_trials=settings.model.tune_trials,
            most_rows=settings.model.most_rows,
            capacity=settings.scoring.capacity,
            rank=settings.scoring.rank,
            progress=progress,
        )
        if unreadable is not None and champion is not None:
            trained = replace(trained, gate=trained.gate.without_champion(champion, unreadable))
        elif trained.gate.provisional and active is not None and _passed_fully(active):
            trained = replace(trained, gate=trained.gate.kept_by(str(champion)))
        is_fallback = outdated or (active is not None and active.stand_in is not None)
        stand_in = trained.gate.stand_in(champion, stands_in=is_fallback)
        promoted = trained.gate.open or stand_in is not None
        refused: tuple[str, ...] = ()
        if stand_in is not None:
            refused = _keep_refused(session, trained, store, lineage=lineage)
            progress(f"evaluating {stand_in}, the fallback model")
            trained = with_fallback(trained, stand_in)
        bundle = _write(session, trained, store.directory, promoted=promoted, lineage=lineage)
        progress("verifying the bundle in a separate process")
        check_canaries(bundle)
        progress("recording in MLflow")
        won, published = _publish(session, store, bundle, expected=champion, promote=promoted)
        feasibility = feasibility_notes(session.tables, trained.judged_rows, panel.judged)
        incomparable = (OUTDATED.format(name=champion),) if outdated else ()
        warnings = (
            *(*published, *refused, *feasibility, *incomparable),
            *(*amount_notes(trained.evaluation), *in_place_notes(session)),
        )
        promoted = promoted and won
        session.facts |= {"model_id": bundle.name, "promoted": promoted}
        result = _result(session, trained, bundle, promoted=promoted, warnings=warnings)
        return result if won else replace(result, exit_code=BusyError.exit_code)


def _champion(session: Session, store: ModelStore) -> tuple[ChurnModel | None, str | None, bool]:
    """The champion, why its bundle cannot be read, and whether it is from another release.

    With a signing key, an unreadable format is an error, because anybody may have written it.
    """
    if store.champion is None:
        return None, None, False
    try:
        return store.load(CHAMPION), None, False
    except ModelError as failure:
        if isinstance(failure, OutdatedModelError) and store.signing_key is None:
            return None, None, True
        return None, failure.rule, False


def _passed_fully(champion: ChurnModel) -> bool:
    """Whether the champion is a model that passed a full gate, or that a person chose."""
    return champion.stand_in is None and not judged_provisionally(champion.manifest_)


def _rows(trained: Trained) -> dict[str, int]:
    counts = {"panel": len(trained.dataset), "eligible": len(trained.dataset.eligible)}
    left_out = {
        "customers_left_out": trained.dataset.customers_left_out,
        "objectors_left_out": trained.dataset.objectors_left_out,
    }
    touched = {f"campaigns_{name}": count for name, count in trained.campaigns.items()}
    return counts | {name: count for name, count in (left_out | touched).items() if count}


def _resolved_table(trained: Trained) -> Table:
    cutoffs, clock = trained.panel.cutoffs, trained.panel.clock
    lapsed = f"no purchase in {clock.horizon_days} days"
    eligible = f"bought in the last {clock.lookback_days} days"
    if clock.is_contractual:
        lapsed = f"not renewed within {cutoffs.grace_days} days of expiry"
        eligible = f"the subscription expires in {clock.horizon_days} days"
    rows = [
        ("lapsed", lapsed),
        ("eligible", eligible),
        ("cutoffs", cutoffs_in_words(cutoffs)),
    ]
    if trained.panel.trial is not None:
        rows.append(("judged", "provisionally: the history is too short for the gate"))
    if trained.dataset.customers_left_out:
        sampled = f"{trained.dataset.customers_left_out:,} customers left out by most_rows"
        rows.append(("sample", sampled))
    if any(trained.campaigns.values()):
        rows.append(("campaigns", campaigns_in_words(trained.campaigns)))
    if trained.tuned is not None:
        rows.append(("tuning", _tuning(trained.tuned)))
    return Table("Resolved", ("", ""), tuple(rows))


def _tuning(tuned: Tuned) -> str:
    outcome = "a better recipe" if tuned.changed else "no significantly better recipe"
    return (
        f"{outcome} in {tuned.trials} trials ({tuned.given_up} pruned): log loss "
        f"{difference(tuned.difference)} on forward folds"
    )


def _write(
    session: Session,
    trained: Trained,
    directory: Path,
    *,
    promoted: bool,
    lineage: Mapping[str, Any],
    suffix: str = "",
) -> Path:
    model_id = f"churn-{session.run_id}{suffix}"
    samples = trained.model.samples
    currency = session.settings.data.currency
    return write_bundle(
        trained.model,
        directory,
        model_id=model_id,
        facts=_facts(session, trained, promoted=promoted, lineage=lineage),
        population=trained.population,
        canaries=samples["canaries"],
        reference=samples["reference"],
        card=model_card(trained, model_id=model_id, currency=currency),
        report=judgement_files(trained.judgement),
        signing_key=session.signing_key,
    )


def _keep_refused(
    session: Session, trained: Trained, store: ModelStore, *, lineage: Mapping[str, Any]
) -> tuple[str, ...]:
    """Also writes the model that was rejected for leakage, with a note, because a person may know
    that there is no leak.
    """
    if not trained.gate.leaking:
        return ()
    bundle = _write(
        session, trained, store.directory, promoted=False, lineage=lineage, suffix=REFUSED
    )
    return (
        f"the rejected model is kept as {bundle.name}: if its features do not leak the future, "
        f"`churn models promote {bundle.name} --force --reason TEXT` makes it the champion",
    )


def _facts(
    session: Session, trained: Trained, *, promoted: bool, lineage: Mapping[str, Any]
) -> dict[str, Any]:
    """The facts in the manifest besides the model itself."""
    panel = trained.panel
    first, last = session.tables.span()
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": session.run_id,
        "as_of": str(session.as_of),
        "label": label_in_words(panel),
        "data": {
            "orders": session.tables.audits["orders"].rows_kept,
            "first_order": str(first),
            "last_order": str(last),
            "rows": len(trained.dataset),
            "eligible_rows": len(trained.dataset.eligible),
            "customers_left_out": trained.dataset.customers_left_out,
            "objectors_left_out": trained.dataset.objectors_left_out,
            "campaigns": dict(trained.campaigns),
            "day_timezone": session.settings.data.day_timezone,
            "currency": session.settings.data.currency,
            "gap_quantile_days": panel.to_dict()["gap_quantile_days"],
            **lineage,
        },
        "evaluation": trained.judgement.evaluation.to_dict(),
        "judgement": trained.judgement.metrics(),
        "apart": None if trained.apart is None else trained.apart.to_dict(),
        "folds": [fold.to_dict() for fold in trained.folds],
        "tuning": None if trained.tuned is None else trained.tuned.to_dict(),
        "gate": gate_dict(trained.gate, promoted=promoted, stand_in=trained.model.stand_in),
    }


def _trial_horizon(trained: Trained) -> int | None:
    """The horizon of the forward test, if it is a trial."""
    trial = trained.panel.trial
    return None if trial is None else trial.clock.horizon_days


def label_in_words(panel: Panel) -> dict[str, object]:
    """The definition of the label, with its mode and lengths of time."""
    lapse = "no order with an amount above zero in [cutoff + lead, cutoff + lead + H)"
    if panel.clock.is_contractual:
        lapse = (
            "a subscription that expires in [cutoff + lead, cutoff + lead + H) is not renewed "
            "within the grace period after its expiry"
        )
    return {
        "mode": panel.clock.mode,
        "lapse": lapse,
        "decline": "net spend in the horizon under half of the last three horizons' average",
        "horizon_days": panel.cutoffs.horizon_days,
        "lead_days": panel.cutoffs.lead_days,
        "grace_days": panel.cutoffs.grace_days,
    }


def _publish(
    session: Session, store: ModelStore, bundle: Path, *, expected: str | None, promote: bool
) -> tuple[bool, tuple[str, ...]]:
    """Records the bundle and promotes it if `promote`; whether no other run was faster, and
    warnings.
    """
    settings, warnings = session.settings, []
    won = reached = True
    try:
        record(settings, store.load(bundle.name), bundle)
    except (StorageError, BusyError) as failure:
        reached, warnings = False, [f"not recorded in MLflow: {failure}"]
    if promote:
        try:
            store.promote(
                session.ledger,
                bundle.name,
                expected=expected,
                run_id=session.run_id,
                cause="training",
            )
        except BusyError as failure:
            won = False
            warnings.append(f"not promoted: {failure}")
    if reached:
        warnings += followed(settings, store, session.ledger)
    return won, tuple(warnings)


def _without_charts() -> tuple[str, ...]:
    if can_draw():
        return ()
    return (f"the model card has no charts: {INSTALL} draws them",)


def _result(
    session: Session,
    trained: Trained,
    bundle: Path,
    *,
    promoted: bool,
    warnings: tuple[str, ...],
) -> JobResult:
    panel = trained.panel
    return JobResult(
        command="train",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved=panel.to_dict(),
        rows=_rows(trained),
        audits=session.tables.audits,
        model_id=bundle.name,
        metrics={
            **trained.evaluation.to_dict(),
            "judgement": trained.judgement.to_dict(),
            "apart": None if trained.apart is None else trained.apart.to_dict(),
        },
        gate=gate_dict(trained.gate, promoted=promoted, stand_in=trained.model.stand_in),
        files=hashed(bundle / "manifest.json", bundle / "card.md"),
        warnings=(*trained.gate.warnings, *warnings, *_without_charts()),
        tables=(
            _resolved_table(trained),
            *apart_table(trained.apart),
            *judgement_tables(trained.evaluation, horizon_days=_trial_horizon(trained)),
            gate_table(trained.gate),
        ),
        exit_code=0 if promoted and not trained.gate.leaking else GateError.exit_code,
    )
