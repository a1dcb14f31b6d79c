import sqlite3
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from churn.errors import BusyError, StorageError
from churn.storage.database import Record, database_errors, open_database, transaction

FIRST = ("CREATE TABLE things (name TEXT)",)
SECOND = ("ALTER TABLE things ADD COLUMN size INTEGER",)


def test_an_old_file_is_brought_to_the_newest_schema_with_its_rows(tmp_path):
    path = tmp_path / "new" / "db"
    old = open_database(path, [FIRST])
    old.execute("INSERT INTO things VALUES ('a')")
    old.close()
    connection = open_database(path, [FIRST, SECOND])
    assert connection.execute("SELECT * FROM things").fetchall() == [("a", None)]
    connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path):
    with pytest.raises(StorageError, match=r"no such table: gone.*Check the disk"):
        open_database(tmp_path / "db", [FIRST, ("DROP TABLE gone",)])
    connection = open_database(tmp_path / "db", [FIRST])
    assert connection.execute("SELECT * FROM things").fetchall() == []
    connection.close()


def test_a_file_of_a_newer_program_is_refused(tmp_path):
    open_database(tmp_path / "db", [FIRST, SECOND]).close()
    with pytest.raises(StorageError, match=r"up to 1, got 2\. Upgrade churn"):
        open_database(tmp_path / "db", [FIRST])


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "db").write_text("customer_id,amount\n" * 100)
    with pytest.raises(StorageError, match=r"/db: file is not a database.*Check the disk"):
        open_database(tmp_path / "db", [FIRST])


def test_a_place_without_permission_is_a_storage_error(read_only_directory):
    with pytest.raises(StorageError, match=r"unable to open.*permissions"):
        open_database(read_only_directory / "db", [FIRST])


def test_a_file_that_another_run_writes_is_busy(tmp_path):
    first = open_database(tmp_path / "db", [FIRST])
    second = open_database(tmp_path / "db", [FIRST], wait_seconds=0)
    with (
        transaction(first),
        pytest.raises(BusyError, match=r"one run at a time.*wait"),
        database_errors(tmp_path / "db"),
        transaction(second),
    ):
        pass
    first.close()
    second.close()


def test_a_failed_transaction_is_undone(tmp_path):
    connection = open_database(tmp_path / "db", [FIRST])
    with pytest.raises(sqlite3.OperationalError, match="gone"), transaction(connection):
        connection.execute("INSERT INTO things VALUES ('a')").execute("DELETE FROM gone")
    assert connection.execute("SELECT * FROM things").fetchall() == []
    connection.close()


def test_our_own_mistakes_stay_bugs(tmp_path):
    connection = open_database(tmp_path / "db", [FIRST])
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), database_errors(tmp_path / "db"):
        connection.execute("SELECT 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit(Record):
    name: str
    day: date | None
    at: datetime
    known: bool
    more: dict[str, Any]


def test_a_record_is_read_from_its_columns_as_it_was_written():
    at = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
    visit = Visit(name="ann", day=date(2024, 3, 1), at=at, known=True, more={"a": [1]})
    stored = (*visit.row()[:4], '{"a": [1]}')
    assert stored[:4] == ("ann", "2024-03-01", "2024-03-01T12:30:00+00:00", True)
    assert (Visit.columns(), Visit.marks()) == ("name, day, at, known, more", "?, ?, ?, ?, ?")
    assert Visit.from_row(stored) == visit
    assert Visit.from_row(("ann", None, at.isoformat(), 0, "{}")).known is False
    with pytest.raises(ValueError, match="shorter"):
        Visit.from_row(("ann",))
