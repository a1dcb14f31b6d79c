"""`churn models` and `churn sync`: the list of models, promotion, rollback, record in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.commands.agreement import check_agreement
from churn.commands.model_store import ModelStore, challenger_of, follow, followed, record
from churn.commands.session import Progress, on_record, silent
from churn.config import Settings, load_settings
from churn.errors import ConfigError, GateError, ModelError, shown_address
from churn.features.catalogue import CATALOGUE
from churn.features.plugins import load_own_features
from churn.modeling.bundle import check_canaries
from churn.modeling.manifest import gate_open, judged_provisionally
from churn.results.job_result import JobResult, Table
from churn.storage.ledger import Ledger
from churn.storage.records import Cause

HEADER = ("model", "as of", "AUC", "loss", "base", "gate")


def list_models(config: Path, *, models: Path | None = None) -> JobResult:
    """Every model of the folder, newest first, with its metrics and status, or its damage."""
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    with Ledger(settings.ledger_path) as ledger:
        marks = _marks(store, ledger)
        history = store.history(ledger)
    listed, damaged = [], []
    for name in reversed(store.bundles()):
        try:
            listed.append(_listed(store.manifest(name), marks))
        except ModelError as failure:
            damaged.append(f"{name} cannot be used: {failure}")
    damaged.extend(_dangling(store))
    notes = () if listed or damaged else ("no models yet: `churn train` creates one",)
    return JobResult(
        command="models",
        resolved={"models": listed, "promotions": [_promotion(move) for move in history]},
        rows={"models": len(listed)},
        model_id=store.champion,
        warnings=(*damaged, *notes),
        tables=(
            Table(
                f"Models in {store.name}: AUC, log loss, log loss of the best baseline",
                HEADER,
                tuple(map(_row, listed)),
            ),
        ),
    )


def _dangling(store: ModelStore) -> list[str]:
    """A note if the champion does not exist in the folder; a damaged one is noted elsewhere."""
    champion = store.champion
    if champion is None or champion in store.bundles():
        return []
    return [
        f"the champion {champion!r} does not exist in {store.name!r}: promote another model, or "
        "train again"
    ]


def promote(
    config: Path,
    model_id: str,
    *,
    models: Path | None = None,
    force: bool = False,
    reason: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Makes a model the champion if it passed the gate or, with `force`, even if it did not.

    The bundle is verified, must agree with the settings, and must reproduce its canary scores in a
    separate process. Raises GateError if it failed the gate, BusyError if another run was faster.
    """
    if force and not (reason or "").strip():
        rule = "--force requires a reason"
        raise ConfigError(rule, fix='Add e.g. --reason "new assortment, reviewed by hand".')
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    expected, model_id = store.champion, store.full_name(model_id)
    manifest = store.manifest(model_id)
    if not gate_open(manifest) and not force:
        raise GateError(
            f"{model_id!r} must have passed the gate",
            got="; ".join(manifest.get("gate", {}).get("reasons", ())) or "no evaluation",
            fix="To promote it anyway, pass --force --reason TEXT.",
        )
    if model_id == expected:
        rule = f"{model_id!r} must not be the champion already"
        raise ConfigError(rule, fix="Nothing to do.")
    return _install(
        settings, store, model_id, expected, cause="promotion", reason=reason, progress=progress
    )


def rollback(
    config: Path,
    *,
    models: Path | None = None,
    reason: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Reinstates the previous champion; repeating it goes back further."""
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    expected = store.champion
    with Ledger(settings.ledger_path) as ledger:
        target = store.former(ledger)
    return _install(
        settings, store, target, expected, cause="rollback", reason=reason, progress=progress
    )


def _install(
    settings: Settings,
    store: ModelStore,
    model_id: str,
    expected: str | None,
    *,
    cause: Cause,
    reason: str | None,
    progress: Progress,
) -> JobResult:
    facts: dict[str, Any] = {"model_id": model_id, "previous": expected, "reason": reason}
    with on_record(f"models {cause}", settings, facts) as (ledger, run_id):
        progress("checking the model")
        _check_usable(settings, store, model_id)
        store.promote(
            ledger, model_id, expected=expected, run_id=run_id, cause=cause, reason=reason
        )
        progress("updating MLflow's aliases")
        warnings = followed(settings, store, ledger)
    before = f"before, it was {expected}" if expected else "before, there was none"
    return JobResult(
        command="models",
        run_id=run_id,
        resolved={"previous": expected, "cause": cause, "reason": reason},
        model_id=model_id,
        gate={"promoted": True, "reasons": [f"{model_id} is the champion; {before}"]},
        warnings=tuple(warnings),
    )


def _check_usable(settings: Settings, store: ModelStore, model_id: str) -> None:
    """Raises an error if scoring with the model would fail."""
    if settings.features.module is not None:
        load_own_features(settings.path(settings.features.module))
    bundle = store.bundle(model_id)
    model = store.load(model_id)
    check_agreement(settings, model)
    unknown = [name for name in model.feature_names_ if name not in CATALOGUE]
    if unknown:
        rule = f"the features of {model_id!r} must be defined"
        raise ModelError(
            rule, got=f"unknown {unknown}", fix="Train again, or set [features] module."
        )
    check_canaries(bundle)


def _marks(store: ModelStore, ledger: Ledger) -> dict[str, str]:
    """The status by model: `champion`, else `challenger`, else `former`."""
    marks = {move.model_id: "former" for move in store.history(ledger)}
    challenger = challenger_of(store, ledger)
    marks |= {challenger: "challenger"} if challenger else {}
    return marks | ({store.champion: "champion"} if store.champion else {})


def _listed(manifest: Mapping[str, Any], marks: Mapping[str, str]) -> dict[str, Any]:
    """One model of the list as plain JSON."""
    metrics = {
        row["predictor"]: row
        for row in manifest.get("evaluation", {}).get("judged", ())
        if row["group"] == "eligible"
    }
    losses = {name: row["log_loss"] for name, row in metrics.items() if name != "model"}
    best = min(losses, key=lambda name: losses[name], default=None)
    model = metrics.get("model", {})
    return {
        "model_id": manifest["model_id"],
        "mark": marks.get(manifest["model_id"]),
        "as_of": manifest.get("as_of"),
        "created_at": manifest.get("created_at"),
        "roc_auc": model.get("roc_auc"),
        "log_loss": model.get("log_loss"),
        "best_rule": best,
        "best_rule_log_loss": None if best is None else losses[best],
        "gate_open": gate_open(manifest),
        "stand_in": manifest.get("gate", {}).get("stand_in"),
        "provisional": judged_provisionally(manifest),
        "signed": "signature" in manifest,
    }


def _row(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The name, date, metrics, and the gate with the status, in at most 80 columns."""
    passed = "provisional" if model["provisional"] else "passed"
    gate = "fallback" if model["stand_in"] else passed if model["gate_open"] else "failed"
    return (
        model["model_id"],
        model["as_of"] or "-",
        _decimal(model["roc_auc"]),
        _decimal(model["log_loss"]),
        _decimal(model["best_rule_log_loss"]),
        ", ".join(filter(None, (gate, model["mark"]))),
    )


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}".removeprefix("0")


def _promotion(move: Any) -> dict[str, Any]:
    """A promotion as plain JSON."""
    return {
        "model_id": move.model_id,
        "previous": move.previous,
        "cause": move.cause,
        "reason": move.reason,
        "run_id": move.run_id,
        "promoted_at": str(move.promoted_at),
    }


def sync(config: Path, *, models: Path | None = None, progress: Progress = silent) -> JobResult:
    """Records every undamaged bundle that is missing in MLflow, and updates the aliases.

    It is idempotent. Damaged bundles are reported and skipped. Raises StorageError if MLflow does
    not respond; what was recorded by then stays.
    """
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    facts: dict[str, Any] = {}
    with on_record("sync", settings, facts) as (ledger, run_id):
        recorded: list[str] = []
        existing: list[str] = []
        warnings: list[str] = []
        for name in store.bundles():
            progress(f"recording {name}")
            try:
                model = store.load(name)
            except ModelError as failure:
                warnings.append(f"left out: {failure}")
                continue
            done = record(settings, model, store.directory / name)
            (recorded if done.new else existing).append(name)
        moved = follow(settings, store, ledger)
        facts |= {"recorded": recorded, "aliases": moved}
    return JobResult(
        command="sync",
        run_id=run_id,
        resolved={"recorded": recorded, "aliases": moved},
        rows={"recorded": len(recorded), "there": len(existing)},
        model_id=store.champion,
        warnings=tuple(warnings),
        tables=(_sync_table(shown_address(settings.tracking.uri), recorded, existing, moved),),
    )


def _sync_table(uri: str, recorded: list[str], existing: list[str], moved: dict[str, str]) -> Table:
    rows = [
        ("address", uri),
        ("recorded now", ", ".join(recorded) or "nothing"),
        ("recorded before", f"{len(existing):,}"),
        *((f"alias {alias}", model_id or "none") for alias, model_id in moved.items()),
    ]
    return Table("MLflow", ("", ""), tuple(rows))
