"""`churn models show` and `churn models compare`: the metrics of one or two models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.commands.model_store import ModelStore
from churn.commands.summaries.judgements import SHOWN
from churn.config import load_settings
from churn.modeling.manifest import gate_open
from churn.results.job_result import JobResult, Table
from churn.storage.ledger import Ledger

Manifest = Mapping[str, Any]
Figures = Mapping[str, Mapping[str, float | None]]


def show_model(config: Path, model_id: str, *, models: Path | None = None) -> JobResult:
    """The contents of the bundle's manifest, after its files were verified."""
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    model_id = store.full_name(model_id)
    manifest = store.manifest(model_id)
    with Ledger(settings.ledger_path) as ledger:
        moves = [m for m in store.history(ledger) if m.model_id == model_id]
    terms = [f"{move.promoted_at:%Y-%m-%d %H:%M} by {move.cause}{_why(move)}" for move in moves]
    kept = {name: value for name, value in manifest.items() if name not in ("files", "signature")}
    return JobResult(
        command="models",
        resolved={"model": kept, "champion": store.champion == model_id},
        rows=_counts(manifest),
        model_id=model_id,
        metrics=manifest.get("evaluation", {}),
        gate={"promoted": None, "reasons": manifest.get("gate", {}).get("reasons", [])},
        tables=(_facts(manifest, terms), _evaluation(manifest)),
    )


def compare_models(
    config: Path, first: str, second: str, *, models: Path | None = None
) -> JobResult:
    """The metrics of two models side by side, with differences if both were evaluated on the same
    cutoffs, customers and label; otherwise the reasons why they are not comparable.
    """
    store = ModelStore.of(load_settings(config), models)
    first, second = store.full_name(first), store.full_name(second)
    manifests = store.manifest(first), store.manifest(second)
    reasons = differences(*manifests)
    a, b = map(_figures, manifests)
    figures = {
        name: {"first": a.get(name, {}), "second": b.get(name, {})}
        for name in dict.fromkeys([*a, *b])
    }
    notes = [f"not comparable: {reason}" for reason in reasons]
    return JobResult(
        command="models",
        resolved={
            "first": first,
            "second": second,
            "comparable": not reasons,
            "differences": reasons,
        },
        metrics=figures,
        warnings=tuple(notes),
        tables=(_side_by_side(first, second, *manifests, comparable=not reasons),),
    )


def differences(*models: Manifest) -> list[str]:
    """Why the evaluations of two models are not comparable; empty if they are."""
    pairs = {
        "cutoffs": [", ".join(m.get("evaluation", {}).get("cutoffs", ())) for m in models],
        "horizon_days": [m.get("clock", {}).get("horizon_days") for m in models],
        "lookback_days": [m.get("clock", {}).get("lookback_days") for m in models],
        "lead_days": [m.get("cutoffs", {}).get("lead_days") for m in models],
        "rows evaluated": [_eligible(m).get("rows") for m in models],
        "lapse rates": [_rate(m) for m in models],
    }
    return [f"{name} differ: {a} and {b}" for name, (a, b) in pairs.items() if a != b]


def _eligible(manifest: Manifest, predictor: str = "model") -> Mapping[str, Any]:
    judged = manifest.get("evaluation", {}).get("judged", ())
    wanted = ("eligible", predictor)
    return next((row for row in judged if (row["group"], row["predictor"]) == wanted), {})


def _figures(manifest: Manifest) -> dict[str, Any]:
    """The displayed metrics of the model, with their intervals."""
    row = _eligible(manifest)
    return {
        name: {"estimate": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}
        for name in SHOWN
        if name in row
    }


def _side_by_side(
    first: str, second: str, one: Manifest, other: Manifest, *, comparable: bool
) -> Table:
    a, b = _figures(one), _figures(other)
    rows = [
        (
            SHOWN[name],
            _interval(a.get(name)),
            _interval(b.get(name)),
            _difference(a.get(name), b.get(name)) if comparable else "-",
        )
        for name in dict.fromkeys([*a, *b])
    ]
    facts = [
        (name, *(str(_facts_of(m).get(name, "-")) for m in (one, other)), "")
        for name in ("as of", "evaluated on", "rows", "features", "gate")
    ]
    return Table("Comparison", ("", first, second, "change"), (*facts, *rows))


def _facts_of(manifest: Manifest) -> dict[str, str]:
    evaluation = manifest.get("evaluation", {})
    return {
        "as of": str(manifest.get("as_of", "-")),
        "created": str(manifest.get("created_at", "-")),
        "evaluated on": ", ".join(evaluation.get("cutoffs", ())) or "-",
        "rows": f"{_eligible(manifest).get('rows', 0):,}",
        "features": f"{len(manifest.get('features', ())):,}",
        "gate": "passed" if gate_open(manifest) else "failed",
        "signed": "yes" if "signature" in manifest else "no",
        "data": str(manifest.get("data", {}).get("fingerprint", "-"))[:16],
    }


def _facts(manifest: Manifest, terms: list[str]) -> Table:
    rows = [*_facts_of(manifest).items(), *(("champion from", term) for term in terms)]
    return Table(f"Model {manifest['model_id']}", ("", ""), tuple(rows))


def _evaluation(manifest: Manifest) -> Table:
    judged = manifest.get("evaluation", {}).get("judged", ())
    names = [row["predictor"] for row in judged if row["group"] == "eligible"]
    rows = [
        (name, *(_decimal(_eligible(manifest, name).get(metric)) for metric in SHOWN))
        for name in names
    ]
    return Table("Evaluation on later cutoffs", ("", *SHOWN.values()), tuple(rows))


def _counts(manifest: Manifest) -> dict[str, int]:
    data = manifest.get("data", {})
    return {name: data[name] for name in ("orders", "rows", "eligible_rows") if name in data}


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _interval(figure: Mapping[str, float | None] | None) -> str:
    """The estimate and half its 95 % interval."""
    if figure is None or figure["estimate"] is None:
        return "-"
    if figure["low"] is None or figure["high"] is None:
        return _decimal(figure["estimate"])
    return f"{figure['estimate']:.4f} ±{(figure['high'] - figure['low']) / 2:.3f}"


def _rate(manifest: Manifest) -> str:
    rate = _eligible(manifest).get("base_rate")
    return "-" if rate is None else f"{rate:.4%}"


def _difference(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> str:
    if not a or not b or None in (a["estimate"], b["estimate"]):
        return "-"
    return f"{b['estimate'] - a['estimate']:+.4f}"


def _why(move: Any) -> str:
    return f": {move.reason}" if move.reason else ""
