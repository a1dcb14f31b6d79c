"""Registry aliases, which follow the models folder, and bundles fetched from the registry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from churn.errors import ConfigError
from churn.modeling.registry.record import find_version
from churn.modeling.registry.store import mlflow_store
from churn.modeling.settings import TrackingSettings
from churn.storage.files import check_name

CHAMPION_ALIAS = "champion"
CHALLENGER_ALIAS = "challenger"
SCHEME = "models:/"


def point_aliases(
    settings: TrackingSettings, wanted: Callable[[], Mapping[str, str | None]], *, folder: Path
) -> dict[str, str]:
    """Points each alias to the version of a model id, or removes it (None); returns changes by
    alias.

    `wanted` is called under the lock, so that the last caller has the newest state. An alias whose
    model is not in the registry is left unchanged.
    """
    with mlflow_store(settings, folder, writing=True) as mlflow:
        client = mlflow.MlflowClient()
        now = _aliases(client, settings)
        moved = {}
        for alias, model_id in wanted().items():
            target = None if model_id is None else find_version(client, settings, model_id)
            version = None if target is None else str(target.version)
            if version == now.get(alias) or (model_id is not None and version is None):
                continue
            _point(client, settings, alias, version)
            moved[alias] = model_id or ""
        return moved


def bundle_from_registry(settings: TrackingSettings, address: str, *, folder: Path) -> Path:
    """A local copy of the bundle behind `models:/name@alias` or `models:/name/version`, in a new
    folder that the caller has to remove.

    Raises ConfigError for any other form, StorageError if the registry does not have it.
    """
    name, alias, number = _parsed(address)
    with mlflow_store(settings, folder, writing=False) as mlflow:
        client = mlflow.MlflowClient()
        if alias:
            found = client.get_model_version_by_alias(name, alias)
        else:
            found = client.get_model_version(name, number)
        place = mlflow.artifacts.download_artifacts(
            run_id=found.run_id, artifact_path="bundle", dst_path=tempfile.mkdtemp("-churn")
        )
    return Path(place)


def _aliases(client: Any, settings: TrackingSettings) -> dict[str, str]:
    """Version by alias; empty if nothing is registered yet."""
    found = client.search_registered_models(f"name = '{settings.model_name}'")
    return {alias: str(version) for one in found for alias, version in one.aliases.items()}


def _point(client: Any, settings: TrackingSettings, alias: str, version: str | None) -> None:
    if version is None:
        client.delete_registered_model_alias(settings.model_name, alias)
    else:
        client.set_registered_model_alias(settings.model_name, alias, version)


def _parsed(address: str) -> tuple[str, str, str]:
    """Name, alias and version of an address; alias or version is empty."""
    rest = address.removeprefix(SCHEME)
    name, at, alias = rest.partition("@")
    number = ""
    if not at:
        name, _, number = rest.partition("/")
    if not (at and alias) and not number.isdecimal():
        rule = f"a registry address must be {SCHEME}NAME@ALIAS or {SCHEME}NAME/VERSION"
        raise ConfigError(rule, got=ascii(address)[:80], fix=f"Pass e.g. {SCHEME}churn@champion.")
    check_name(name, what="model name")
    return name, alias and check_name(alias, what="alias"), number
