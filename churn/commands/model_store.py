"""Folders of models: the champion, promotions, and the record in MLflow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from churn.config import Settings
from churn.errors import BusyError, ConfigError, ModelError, StorageError
from churn.modeling.bundle import load_bundle
from churn.modeling.manifest import CHAMPION, read_manifest, read_unverified
from churn.modeling.model import ChurnModel
from churn.modeling.registry.record import Recorded, record_bundle
from churn.modeling.registry.versions import CHALLENGER_ALIAS, CHAMPION_ALIAS, point_aliases
from churn.storage.files import check_name
from churn.storage.ledger import Ledger
from churn.storage.publish import read_pointer, swap_pointer
from churn.storage.records import Cause, Promotion


@dataclass(frozen=True)
class ModelStore:
    """A folder of bundles and the pointer to their champion; `name` is its name in the ledger."""

    directory: Path
    name: str
    signing_key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings, directory: Path | None = None) -> ModelStore:
        """The configured folder, or another; its name is relative to the configuration file."""
        place = (directory or settings.path(settings.model.directory)).absolute()
        name = Path(os.path.relpath(place, settings.folder)).as_posix()
        return cls(place, name, settings.model.signing_key)

    def bundle(self, model_id: str) -> Path:
        """The folder of a model. ConfigError for an invalid name, ModelError for an unknown one."""
        place = self.directory / check_name(model_id, what="model")
        if not place.is_dir() and not place.is_symlink():
            rule = f"there is no model {model_id!r} in {self.name!r}"
            raise ModelError(rule, fix="`churn models` lists the models.")
        return place

    def bundles(self) -> list[str]:
        """The names of the folders with a manifest, oldest first, without links."""
        if not self.directory.is_dir():
            return []
        names = [
            path.name
            for path in self.directory.iterdir()
            if not path.name.startswith(".") and not path.is_symlink() and path.is_dir()
            if (path / "manifest.json").exists()
        ]
        return sorted(names, key=lambda name: (_created_at(self.directory / name), name))

    def full_name(self, asked: str) -> str:
        """The model of that name, else the only one with that prefix, else the name as given.

        ConfigError for an invalid name, and if several models have the prefix.
        """
        if (self.directory / check_name(asked, what="model")).exists():
            return asked
        matching = [name for name in self.bundles() if name.startswith(asked)]
        if len(matching) > 1:
            rule = f"a model must be given by its name or an unambiguous prefix: {asked!r}"
            fix = "Pass a longer prefix."
            raise ConfigError(rule, got=", ".join(matching), fix=fix)
        return matching[0] if matching else asked

    def manifest(self, model_id: str) -> dict[str, Any]:
        """The manifest of the model, after its files were verified."""
        return read_manifest(self.bundle(model_id), signing_key=self.signing_key)

    def load(self, name: str) -> ChurnModel:
        """The model of that name, or the one that the pointer of that name refers to."""
        return load_bundle(self.directory / name, signing_key=self.signing_key)

    @property
    def champion(self) -> str | None:
        """The current champion; None if there is none."""
        return read_pointer(self.directory / CHAMPION)

    def promote(
        self,
        ledger: Ledger,
        model_id: str,
        *,
        expected: str | None,
        run_id: str,
        cause: Cause,
        reason: str | None = None,
    ) -> None:
        """Moves the pointer and records the promotion; a killed run does both or neither.

        BusyError, naming the new champion, if it is no longer the `expected` one.
        """
        promotion = Promotion(
            run_id=run_id,
            directory=self.name,
            model_id=model_id,
            previous=expected,
            cause=cause,
            reason=reason,
        )
        with ledger.promoting(promotion):
            swap_pointer(self.directory / CHAMPION, model_id, expected=expected)

    def line(self, ledger: Ledger) -> list[str]:
        """The champions that rollbacks go through, the current one last."""
        return line_of_champions(self.history(ledger), self.champion)

    def history(self, ledger: Ledger) -> list[Promotion]:
        """The promotions that moved the pointer, oldest first, without the last one if its run was
        killed before it did.
        """
        known, current = ledger.promotions(self.name), self.champion
        unmoved = known and known[-1].model_id != current and known[-1].previous == current
        return known[:-1] if unmoved else known

    def former(self, ledger: Ledger) -> str:
        """The previous champion; ModelError if there is none."""
        line = self.line(ledger)
        if len(line) < 2:
            rule = "a rollback requires a previous champion"
            fix = "Choose a model with `churn models promote ID`."
            raise ModelError(rule, got="none on record", fix=fix)
        return line[-2]


def line_of_champions(history: Sequence[Promotion], current: str | None) -> list[str]:
    """The successive champions, without those that were rolled back.

    >>> def move(model_id, cause="promotion"):
    ...     return Promotion(
    ...         run_id="r", directory="models", model_id=model_id, previous=None, cause=cause
    ...     )
    >>> line_of_champions([move("a"), move("b"), move("c"), move("b", "rollback")], "b")
    ['a', 'b']
    """
    line: list[str] = []
    for move in history:
        _note(line, move.previous)  # known already, unless the pointer was edited by hand
        if move.cause == "rollback" and move.model_id in line:
            del line[_last(line, move.model_id) + 1 :]
        else:
            _note(line, move.model_id)
    _note(line, current)
    return line


def _note(line: list[str], model_id: str | None) -> None:
    if model_id is not None and line[-1:] != [model_id]:
        line.append(model_id)


def _last(line: Sequence[str], model_id: str) -> int:
    return len(line) - 1 - list(reversed(line)).index(model_id)


def challenger_of(store: ModelStore, ledger: Ledger) -> str | None:
    """The newest model that was never champion, if it is newer than the champion."""
    past = {move.model_id for move in store.history(ledger)} | {store.champion}
    names = store.bundles()
    newer = names[names.index(store.champion) + 1 :] if store.champion in names else names
    return next((name for name in reversed(newer) if name not in past), None)


def record(settings: Settings, model: ChurnModel, bundle: Path) -> Recorded:
    """The bundle in MLflow, recorded if it is new. StorageError if MLflow does not respond."""
    return record_bundle(settings.tracking, model, bundle=bundle, folder=settings.folder)


def follow(settings: Settings, store: ModelStore, ledger: Ledger) -> dict[str, str]:
    """Updates the registry's aliases from the configured folder, and returns the changes. Other
    folders have no alias, because a registered model has one champion.
    """
    if store.directory != ModelStore.of(settings).directory:
        return {}

    def aliases() -> dict[str, str | None]:
        return {CHAMPION_ALIAS: store.champion, CHALLENGER_ALIAS: challenger_of(store, ledger)}

    return point_aliases(settings.tracking, aliases, folder=settings.folder)


def followed(settings: Settings, store: ModelStore, ledger: Ledger) -> list[str]:
    """Updates the aliases; a warning if that failed."""
    try:
        follow(settings, store, ledger)
    except (StorageError, BusyError) as failure:
        return [f"MLflow's aliases were not updated: {failure}"]
    return []


def _created_at(bundle: Path) -> str:
    try:
        return str(read_unverified(bundle).get("created_at", ""))
    except ModelError:
        return ""
