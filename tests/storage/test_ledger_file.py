"""A ledger that is gone, empty or another one is not made anew in silence."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date

import pytest

from churn.errors import StorageError
from churn.storage.database import open_database
from churn.storage.erasures import read_erased, record_erased
from churn.storage.ledger import Ledger
from churn.storage.ledger_file import check_kept, key_beside, made_key, mark_beside
from churn.storage.records import APPLICATION_ID, MIGRATIONS

ON = date(2024, 5, 1)
LOST = r"ledger\.db must be the original ledger.*docs/privacy\.md explains how to start over"


@pytest.fixture
def path(tmp_path):
    """A ledger in which somebody is on the list of the erased."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.start_run("forget")
        record_erased(ledger, made_key(path, None), ["anna"], on=ON)
    return path


def foreign(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE invoices (number TEXT)")


def emptied(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (n)")
        connection.execute("DROP TABLE t")
        connection.execute("VACUUM")


def another(path):
    with Ledger(path.with_name("elsewhere") / path.name):
        pass
    shutil.copyfile(path.with_name("elsewhere") / path.name, path)


LOSSES = {
    "gone": (lambda path: None, "got none, although ledger.id shows"),
    "of 0 bytes": (lambda path: path.touch(), "got an empty file"),
    "emptied": (emptied, "got a database of another program, or an emptied one"),
    "another program's": (foreign, "got a database of another program"),
    "another ledger": (another, "got not the one that ledger.id identifies"),
}


@pytest.mark.parametrize(("lose", "got"), LOSSES.values(), ids=LOSSES)
def test_a_lost_ledger_is_refused_with_the_way_out(path, lose, got):
    path.unlink()
    lose(path)
    before = path.read_bytes() if path.exists() else None
    for attempt in (lambda: Ledger(path).__enter__(), lambda: read_erased(path, None)):
        with pytest.raises(StorageError, match=LOST) as refused:
            attempt()
        assert got in str(refused.value)
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize("lose", ["gone", "another ledger"])
def test_the_key_of_the_erased_proves_that_there_was_a_list(path, lose):
    """Also where the mark is gone: then only the list of the erased is known to be lost."""
    path.unlink()
    mark_beside(path).unlink()
    LOSSES[lose][0](path)
    with pytest.raises(StorageError, match=LOST):
        check_kept(path)
    with pytest.raises(StorageError, match=LOST):
        read_erased(path, None)


def test_whoever_begins_anew_on_purpose_removes_the_mark_and_the_key(path):
    for gone in (path, mark_beside(path), key_beside(path)):
        gone.unlink()
    check_kept(path)
    with Ledger(path) as ledger:
        assert ledger.runs() == []
    assert read_erased(path, None) is None


def test_a_ledger_put_back_from_a_backup_is_the_one_that_was_here(path, tmp_path):
    shutil.copyfile(path, tmp_path / "backup")
    path.unlink()
    (tmp_path / "backup").rename(path)
    assert len(read_erased(path, None)) == 1


def test_forgetting_that_is_killed_between_key_and_list_can_be_run_again(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.start_run("forget")
        made_key(path, None)
    check_kept(path)
    assert read_erased(path, None) is None


def test_a_ledger_of_an_earlier_release_is_taken_over(tmp_path):
    path = tmp_path / "ledger.db"
    marking = next(n for n, steps in enumerate(MIGRATIONS) if "application_id" in steps[0])
    with closing(open_database(path, MIGRATIONS[:marking])) as connection:
        connection.execute(
            "INSERT INTO runs VALUES ('old', 'score', '2024-05-01', NULL, 'done', NULL, NULL, "
            "'{}', 1, 1)"
        )
    with Ledger(path) as ledger:
        assert [run.run_id for run in ledger.runs()] == ["old"]
    assert mark_beside(path).exists()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


KILLED = """
import os, signal, sys
from pathlib import Path
import churn.storage.publish as publish
from churn.storage.ledger import Ledger

real = os.replace
def killing(*names):
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*names)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = killing
Ledger(Path(sys.argv[1])).__enter__()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_first_ledger_that_is_killed_is_there_whole_or_not_at_all(tmp_path, when):
    path = tmp_path / "ledger.db"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), when], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.exists() == (when == "after")
    with Ledger(path) as ledger:
        assert ledger.runs() == []
    assert not list(tmp_path.glob(".*.tmp*"))


def test_first_ledgers_made_at_the_same_moment_are_one(tmp_path):
    make = "import sys; from pathlib import Path; from churn.storage.ledger import Ledger\n"
    make += "with Ledger(Path(sys.argv[1])) as ledger: print(ledger.start_run('score'))"
    command = [sys.executable, "-c", make, str(tmp_path / "ledger.db")]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {racer.communicate(timeout=120)[0].strip() for racer in racers}
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert {run.run_id for run in ledger.runs()} == said
    assert len(said) == 4
