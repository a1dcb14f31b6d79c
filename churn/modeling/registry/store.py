"""The MLflow store: created under a lock, one writer at a time, short timeouts.

An unreachable server costs seconds: nothing waits for it, and the bundle on disk remains
authoritative.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from churn.errors import StorageError, shown_address, without_addresses
from churn.modeling.settings import TrackingSettings
from churn.storage.locks import exclusive
from churn.storage.publish import publish_file

SQLITE = "sqlite:///"
LOCK_WAIT_SECONDS = 300
PATH_ASKED = re.compile(r"with url: \S+")
_DATABASE = re.compile(r"(postgres(ql)?|mysql|mariadb|mssql|oracle)(\+\w+)?:", re.IGNORECASE)
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
# One retry after a second or two; a running server answers the first request within 4 s.
FIRST_CONTACT = {RETRIES: "1", TIMEOUT: "4"}
CONNECTED = {RETRIES: "1", TIMEOUT: "20", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


def make_whole(uri: str, artifacts: str) -> None:
    """Creates the store of a `sqlite:` URI unless it exists; the caller must hold the lock.

    `artifacts` is the artifact location of MLflow's default experiment.
    """
    path = _file_of(uri)
    if path is None or (path.exists() and not _is_half_made(path)):
        return
    with publish_file(path) as temporary:
        _make(f"sqlite:///{temporary}", artifacts)


def _file_of(uri: str) -> Path | None:
    """The file of the store; None for an in-memory store."""
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    return None if not name or name == ":memory:" else Path(name).absolute()


def _make(uri: str, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()
    SqlAlchemyStore._engine_map.pop(uri, None)


def _is_half_made(path: Path) -> bool:
    """Whether it holds MLflow's first tables, or none at all, and no experiment yet.

    A complete store has an experiment from the start. Any other content is left to MLflow to
    report.
    """
    from mlflow.store.tracking.dbmodels.initial_models import Base as FirstBase

    first = set(FirstBase.metadata.tables)
    try:
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in names} - {"sqlite_sequence"}
            if tables - first - {"alembic_version"} and not first <= tables:
                return False
            rows = "SELECT 1 FROM experiments LIMIT 1"
            return "experiments" not in tables or connection.execute(rows).fetchone() is None
    except sqlite3.DatabaseError:
        return False


@contextmanager
def mlflow_store(settings: TrackingSettings, folder: Path, *, writing: bool) -> Iterator[Any]:
    """MLflow with the store as its tracking URI; the store is created if missing.

    Relative SQLite stores, and their artifacts, are located in `folder`. A writing block holds a
    lock: SQLite allows one writer at a time, and no model may be registered twice. Raises
    StorageError if MLflow does not answer.
    """
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore")  # MLflow's use of SQLAlchemy and pandas warns
        import mlflow

        stack.enter_context(_failures(settings))
        stack.enter_context(_silence())
        lock = ExitStack()
        stack.enter_context(lock)
        lock.enter_context(_alone(folder))
        uri = store_uri(settings, folder)
        if uri.startswith("sqlite:"):
            make_whole(uri, _artifacts(folder))
        mlflow.set_tracking_uri(uri)
        with _environment(FIRST_CONTACT):
            _experiment(mlflow, settings, folder, local=uri.startswith("sqlite:"))
        if not writing:
            lock.close()
        with _environment(CONNECTED):
            yield mlflow


def store_uri(settings: TrackingSettings, folder: Path) -> str:
    """The tracking URI; a relative SQLite path is resolved against `folder`."""
    if not settings.uri.startswith(SQLITE) or settings.uri.startswith(SQLITE + "/"):
        return settings.uri
    return f"{SQLITE}{(folder / settings.uri.removeprefix(SQLITE)).resolve()}"


def _alone(folder: Path) -> Any:
    lock = folder / ".mlflow.lock"
    return exclusive(lock, what="recording in MLflow", wait_seconds=LOCK_WAIT_SECONDS)


@contextmanager
def _failures(settings: TrackingSettings) -> Iterator[None]:
    """Converts failures to reach or write the store into a one-line StorageError."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ImportError as failure:
        raise _no_driver(settings, failure) from None
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as failure:
        rule = f"MLflow at {shown_address(settings.uri)} must answer"
        fix = "Start it, then run `churn sync`; the bundle is saved."
        raise StorageError(rule, got=_cause(failure, settings), fix=fix) from None


def check_driver(settings: TrackingSettings) -> None:
    """Raises StorageError if the store is a database of unknown kind or its driver is missing.

    No connection is made: a server may be down now and up later.
    """
    if settings.uri.startswith("sqlite:") or not _DATABASE.match(settings.uri):
        return
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError

    try:
        create_engine(settings.uri).dispose()
    except (ImportError, ArgumentError) as failure:
        raise _no_driver(settings, failure) from None


def _no_driver(settings: TrackingSettings, failure: Exception) -> StorageError:
    rule = f"[tracking] uri {shown_address(settings.uri)} needs an installed driver"
    missing = failure.name if isinstance(failure, ImportError) else None
    got = "a database unknown to SQLAlchemy" if missing is None else f"no {missing}"
    fix = "Install it, or name an MLflow server, e.g. http://host:5000."
    return StorageError(rule, got=got, fix=fix)


def _cause(failure: Exception, settings: TrackingSettings) -> str:
    """The underlying system error, else MLflow's first line, without a password."""
    text = str(failure).strip() or type(failure).__name__
    said = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(timed out)", text)
    if said:
        return (said[1] or said[2]).lower()
    line = PATH_ASKED.sub("", without_addresses(text.splitlines()[0]))
    return "an answer that cannot be shown" if _reveals(line, settings.uri) else line[:160]


def _reveals(line: str, uri: str) -> bool:
    """Whether a line contains a part of the address that may be a secret."""
    authority, _, query = uri.partition("://")[2].partition("?")
    user, at, _ = authority.rpartition("@")
    parts = [*re.split(r"[:/@]", user if at else ""), *re.split(r"[&=#]", query)]
    return any(len(part) > 3 and part in line for part in parts)


@contextmanager
def _silence() -> Iterator[None]:
    """Silences MLflow, which logs every table that it creates."""
    from mlflow.utils.logging_utils import disable_logging, enable_logging

    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    disable_logging()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        enable_logging()  # type: ignore[no-untyped-call]
        logger.setLevel(level)


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Sets these variables within a block, except those that the user has set."""
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _artifacts(folder: Path) -> str:
    return (folder / "mlartifacts").resolve().as_uri()


def _experiment(mlflow: Any, settings: TrackingSettings, folder: Path, *, local: bool) -> None:
    if mlflow.get_experiment_by_name(settings.experiment) is None:
        place = _artifacts(folder) if local else None
        try:
            mlflow.create_experiment(settings.experiment, artifact_location=place)
        except mlflow.exceptions.MlflowException as failure:  # another program was faster
            if failure.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    mlflow.set_experiment(settings.experiment)
