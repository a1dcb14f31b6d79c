"""`churn models`: the bundles of a folder, side by side; who is champion, and who shall be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.commands.model_store import ModelStore, challenger_of, followed
from churn.commands.score import check_agreement
from churn.commands.session import Progress, on_record, silent
from churn.config import Settings, load_settings
from churn.errors import ConfigError, GateError, ModelError
from churn.features.catalogue import CATALOGUE
from churn.features.plugins import load_own_features
from churn.modeling.bundle import check_canaries
from churn.modeling.manifest import gate_open
from churn.results.job_result import JobResult, Table
from churn.storage.ledger import Ledger
from churn.storage.records import Cause

HEADER = ("model", "as of", "AUC", "loss", "rule", "gate")


def list_models(config: Path, *, models: Path | None = None) -> JobResult:
    """Every model of the folder, the newest first, with its judgement, its mark, or its damage."""
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    with Ledger(settings.ledger_path) as ledger:
        marks = _marks(store, ledger)
        history = store.history(ledger)
    found, damaged = [], []
    for name in reversed(store.bundles()):
        try:
            found.append(_listed(store.manifest(name), marks))
        except ModelError as failure:
            damaged.append(f"{name} cannot be used: {failure}")
    damaged.extend(_adrift(store))
    notes = () if found or damaged else ("no models yet: `churn train` makes one",)
    return JobResult(
        command="models",
        resolved={"models": found, "promotions": [_told(move) for move in history]},
        rows={"models": len(found)},
        model_id=store.champion,
        warnings=(*damaged, *notes),
        tables=(
            Table(
                f"Models in {store.name}: AUC, log loss, log loss of the best rule",
                HEADER,
                tuple(_row(one) for one in found),
            ),
        ),
    )


def _adrift(store: ModelStore) -> list[str]:
    """A note where the champion is no bundle of the folder; a damaged one is told elsewhere."""
    named = store.champion
    if named is None or named in store.bundles():
        return []
    lacks = f"{store.name!r} holds no such model with a manifest"
    return [f"the pointer champion names {named!r}, but {lacks}: promote another, or train again"]


def promote(
    config: Path,
    model_id: str,
    *,
    models: Path | None = None,
    force: bool = False,
    reason: str | None = None,
    progress: Progress = silent,
) -> JobResult:
    """Makes a model the champion that the gate passed, or, by force, one that it did not.

    The bundle is verified, agrees with the settings, and repeats its canary scores in a process
    of its own. Raises GateError where the gate was closed, BusyError where another run was faster.
    """
    if force and not (reason or "").strip():
        rule = "--force needs a reason, which is kept"
        raise ConfigError(rule, fix='Add e.g. --reason "new assortment, judged by hand".')
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    expected, model_id = store.champion, store.full_name(model_id)
    manifest = store.manifest(model_id)
    if not gate_open(manifest) and not force:
        raise GateError(
            f"the gate must have passed {model_id!r}",
            got="; ".join(manifest.get("gate", {}).get("reasons", ())) or "no judgement",
            fix="To promote it all the same: --force --reason TEXT.",
        )
    if model_id == expected:
        rule = f"{model_id!r} must not be the champion already"
        raise ConfigError(rule, fix="Nothing is to be done.")
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
    """Makes the champion before the present one the champion again; again leads further back."""
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
        progress("moving MLflow's aliases")
        warnings = followed(settings, store, ledger)
    words = f"it was {expected}" if expected else "there was none"
    return JobResult(
        command="models",
        run_id=run_id,
        resolved={"previous": expected, "cause": cause, "reason": reason},
        model_id=model_id,
        gate={"promoted": True, "reasons": [f"{model_id} is the champion; before, {words}"]},
        warnings=tuple(warnings),
    )


def _check_usable(settings: Settings, store: ModelStore, model_id: str) -> None:
    """Nothing, or an error where scoring with the model would fail."""
    if settings.features.module is not None:
        load_own_features(settings.path(settings.features.module))
    bundle = store.bundle(model_id)
    model = store.load(model_id)
    check_agreement(settings, model)
    unknown = [name for name in model.feature_names_ if name not in CATALOGUE]
    if unknown:
        rule = f"the features of {model_id!r} must be known here"
        raise ModelError(rule, got=f"unknown {unknown}", fix="Train again, or add their module.")
    check_canaries(bundle)


def _marks(store: ModelStore, ledger: Ledger) -> dict[str, str]:
    """`challenger`, `champion` and `former` by model; one that is several is the last of these."""
    marks = {move.model_id: "former" for move in store.history(ledger)}
    challenger = challenger_of(store, ledger)
    marks |= {challenger: "challenger"} if challenger else {}
    return marks | ({store.champion: "champion"} if store.champion else {})


def _listed(manifest: Mapping[str, Any], marks: Mapping[str, str]) -> dict[str, Any]:
    """One model of the list as plain JSON."""
    judged = {
        one["predictor"]: one
        for one in manifest.get("evaluation", {}).get("judged", ())
        if one["group"] == "eligible"
    }
    rules = {name: one["log_loss"] for name, one in judged.items() if name != "model"}
    best = min(rules, key=lambda name: rules[name], default=None)
    model = judged.get("model", {})
    return {
        "model_id": manifest["model_id"],
        "mark": marks.get(manifest["model_id"]),
        "as_of": manifest.get("as_of"),
        "created_at": manifest.get("created_at"),
        "roc_auc": model.get("roc_auc"),
        "log_loss": model.get("log_loss"),
        "best_rule": best,
        "best_rule_log_loss": None if best is None else rules[best],
        "gate_open": gate_open(manifest),
        "stand_in": manifest.get("gate", {}).get("stand_in"),
        "signed": "signature" in manifest,
    }


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    """The name, its date and figures, the gate with the mark; they fit a terminal of 80 columns."""
    gate = "stand-in" if one["stand_in"] else "open" if one["gate_open"] else "closed"
    return (
        one["model_id"],
        one["as_of"] or "-",
        _decimal(one, "roc_auc"),
        _decimal(one, "log_loss"),
        _decimal(one, "best_rule_log_loss"),
        ", ".join(filter(None, (gate, one["mark"]))),
    )


def _decimal(one: Mapping[str, Any], name: str) -> str:
    return "-" if one[name] is None else f"{one[name]:.4f}".removeprefix("0")


def _told(move: Any) -> dict[str, Any]:
    """A promotion as plain JSON."""
    return {
        "model_id": move.model_id,
        "previous": move.previous,
        "cause": move.cause,
        "reason": move.reason,
        "run_id": move.run_id,
        "promoted_at": str(move.promoted_at),
    }
