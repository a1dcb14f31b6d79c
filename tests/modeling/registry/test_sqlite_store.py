"""A store that was cut off while it was made is made again; one that holds anything is kept."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from churn.modeling.registry.store import make_whole, mlflow_store
from churn.modeling.settings import TrackingSettings

CUT_OFF = """
import os, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from sqlalchemy import event
from sqlalchemy.engine import Engine

place, statement = Path(sys.argv[2]), sys.argv[3]
seen = 0

@event.listens_for(Engine, "after_cursor_execute")
def _(connection, cursor, text, *_):
    if statement in text:
        os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "mlflow":  # as another program makes it: in place
    import mlflow
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}").search_experiments()
else:
    from churn.modeling.settings import TrackingSettings
    from churn.modeling.registry.store import mlflow_store
    with mlflow_store(TrackingSettings(), place, writing=True):
        pass
"""


def cut_off(who, folder):
    """A process that is killed right after it has made a certain table, late among them."""
    words = [sys.executable, "-c", CUT_OFF, who, str(folder), "CREATE TABLE secrets"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]


def test_a_store_that_was_cut_off_while_it_was_made_is_made_by_the_next_run(tmp_path):
    """Cut off by us there is none; of another program, which makes it in place, there is half."""
    store = tmp_path / "mlflow.db"
    cut_off("churn", tmp_path)
    assert not store.exists()
    assert list(tmp_path.glob(".mlflow.db.*.tmp"))
    cut_off("mlflow", tmp_path)
    assert "secrets" in tables(store)
    with mlflow_store(TrackingSettings(), tmp_path, writing=True) as mlflow:
        assert sorted(one.name for one in mlflow.search_experiments()) == ["Default", "churn"]
    assert not list(tmp_path.glob(".mlflow.db.*"))


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE alembic_version (version_num)", "CREATE TABLE invoices (number)"],
        ["CREATE TABLE experiments (name)", "INSERT INTO experiments VALUES ('mine')"],
        ["CREATE TABLE experiments (name)", "CREATE TABLE invoices (number)"],
    ],
)
def test_a_store_that_holds_anything_and_a_file_of_another_program_are_kept(tmp_path, statements):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    before = path.read_bytes()
    make_whole(f"sqlite:///{path}", "file:///nowhere")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_to_mlflow(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("no database" * 99)
    make_whole(f"sqlite:///{path}", "file:///nowhere")
    assert path.read_text() == "no database" * 99
