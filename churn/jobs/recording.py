"""Bundles into MLflow, by training and by `churn sync`: the folder leads, MLflow follows."""

from __future__ import annotations

from pathlib import Path

from churn.config import Settings
from churn.errors import BusyError, ModelError, StorageError
from churn.files.ledger import Ledger
from churn.jobs.promotion import ModelsFolder
from churn.modeling.manifest import read_unverified
from churn.modeling.model import ChurnModel
from churn.modeling.tracking.record import Recorded, record_bundle
from churn.modeling.tracking.registry import CHALLENGER_ALIAS, CHAMPION_ALIAS, point_aliases

__all__ = ["bundles_in", "challenger_of", "follow", "followed", "record"]


def bundles_in(folder: ModelsFolder) -> list[str]:
    """The names of the folders that claim to be bundles, the oldest first; no links."""
    if not folder.directory.is_dir():
        return []
    found = [
        path.name
        for path in folder.directory.iterdir()
        if not path.name.startswith(".") and not path.is_symlink() and path.is_dir()
        if (path / "manifest.json").exists()
    ]
    return sorted(found, key=lambda name: (_created_at(folder.directory / name), name))


def challenger_of(folder: ModelsFolder, ledger: Ledger) -> str | None:
    """The newest model that was never champion, if it is newer than the champion."""
    past = {move.model_id for move in folder.history(ledger)} | {folder.champion}
    names = bundles_in(folder)
    newer = names[names.index(folder.champion) + 1 :] if folder.champion in names else names
    return next((name for name in reversed(newer) if name not in past), None)


def record(settings: Settings, model: ChurnModel, bundle: Path) -> Recorded:
    """The bundle in MLflow, made unless it is there. StorageError where MLflow does not answer."""
    return record_bundle(settings.tracking, model, bundle=bundle, folder=settings.folder)


def follow(settings: Settings, folder: ModelsFolder, ledger: Ledger) -> dict[str, str]:
    """Moves the registry's aliases after the configured folder; what moved. Other folders have
    no alias, for a registered model has one champion.
    """
    if folder.directory != ModelsFolder.of(settings).directory:
        return {}

    def wanted() -> dict[str, str | None]:
        return {CHAMPION_ALIAS: folder.champion, CHALLENGER_ALIAS: challenger_of(folder, ledger)}

    return point_aliases(settings.tracking, wanted, folder=settings.folder)


def followed(settings: Settings, folder: ModelsFolder, ledger: Ledger) -> list[str]:
    """Moves the aliases, too; a warning where they stayed behind."""
    try:
        follow(settings, folder, ledger)
    except (StorageError, BusyError) as failure:
        return [f"MLflow's aliases did not follow: {failure}"]
    return []


def _created_at(bundle: Path) -> str:
    try:
        return str(read_unverified(bundle).get("created_at", ""))
    except ModelError:
        return ""
