"""Bundles of the simulated shop's model under several names, for tests of the model store."""

from functools import cache
from pathlib import Path
from typing import Any

from simulated_shop import open_shop, shop_dataset, shop_evaluation, shop_model

from churn.commands.model_store import ModelStore
from churn.config import load_settings
from churn.modeling.bundle import write_bundle
from churn.modeling.dataset import canary_rows, reference_rows
from churn.storage.ledger import Ledger

FOLD = {
    "cutoff": "2023-08-14",
    "learnt_cutoffs": 3,
    "rows": 411,
    "base_rate": 0.25,
    "best_baseline": "bg_nbd",
    "model_roc_auc": 0.75,
    "model_log_loss": 0.5,
    "baseline_roc_auc": None,
}


@cache
def _parts() -> tuple[Any, Any]:
    return canary_rows(shop_dataset(), rows=10), reference_rows(shop_dataset(), rows=50)


def facts(*, minute: int = 0, gate_open: bool = True, **more: Any) -> dict[str, Any]:
    """What a training would have told of a model made in that minute."""
    return {
        "created_at": f"2024-01-01T12:{minute:02d}:00+00:00",
        "as_of": "2024-01-01",
        "data": {
            "currency": "EUR",
            "day_timezone": "UTC",
            "orders": 9,
            "files": {"orders": {"orders.parquet": "ab" * 32}},
            "fingerprint": "cd" * 32,
        },
        "evaluation": shop_evaluation().to_dict(),
        "folds": [FOLD],
        "gate": {
            "open": gate_open,
            "promoted": False,
            "stand_in": None,
            "reasons": ["the model beats the rules" if gate_open else "it beats nobody"],
        },
    } | more


def keep_model(
    directory: Path, model_id: str, *, signing_key: str | None = None, **about: Any
) -> Path:
    """The folder of a new bundle; `about` as for `facts`."""
    canaries, reference = _parts()
    return write_bundle(
        shop_model(),
        directory,
        model_id=model_id,
        facts=facts(**about),
        population={"population_gap_days": 12.5},
        canaries=canaries,
        reference=reference,
        card="# A card\n",
        signing_key=signing_key,
    )


def shop_with_models(folder: Path, *names: str, tracking: str | None = None) -> Path:
    """The churn.toml of a shop that keeps these models, made a minute apart, and no champion."""
    config = open_shop(folder, **({} if tracking is None else {"tracking": tracking}))
    for minute, name in enumerate(names):
        keep_model(folder / "models", name, minute=minute)
    return config


def crown(config: Path, model_id: str, *, reason: str | None = None) -> None:
    """Makes a model the champion without asking it to repeat its canary scores first."""
    settings = load_settings(config)
    folder = ModelStore.of(settings)
    with Ledger(settings.ledger_path) as ledger:
        run_id = ledger.start_run("crown")
        before = folder.champion
        folder.promote(
            ledger, model_id, expected=before, run_id=run_id, cause="promotion", reason=reason
        )
        ledger.finish_run(run_id, status="done")
