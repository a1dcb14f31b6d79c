"""MLflow's SQLite file: made under another name and renamed once it is whole.

MLflow makes its tables one by one, and does not go on with what it finds half made. So it never
finds any: a store that was cut off while it was made, by us or by another program, is made again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from churn.files.publish import publish_file

__all__ = ["make_whole"]


def make_whole(uri: str, artifacts: str) -> None:
    """Makes the store of a `sqlite:` URI unless it is there; whoever calls it must be alone.

    `artifacts` is where the runs of MLflow's own default experiment keep their files.
    """
    path = _file_of(uri)
    if path is None or (path.exists() and not _is_half_made(path)):
        return
    with publish_file(path) as temporary:
        _make(f"sqlite:///{temporary}", artifacts)


def _file_of(uri: str) -> Path | None:
    """The file of the store; None where it is kept in memory."""
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

    A whole store has an experiment from the start. What else a file may be is for MLflow to say.
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
