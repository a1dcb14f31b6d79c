"""The engine reads the files it was told of, and nothing else; it leaves without a word."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from churn.data.engines.base import identifier, literal
from churn.data.engines.duck import DuckDBEngine
from churn.errors import StorageError

SCRIPT = """
from datetime import date
import pyarrow as pa
from churn.data.tables import Tables
from churn.features.builder import build_features
from churn.features.clock import FeatureClock

frame = pa.table({"customer_id": ["a"], "ordered_at": ["2024-01-01"], "amount": [1.0]})
tables = Tables.from_frames(frame)
lazy = build_features(tables, [date(2024, 3, 1)], FeatureClock(horizon_days=28, lookback_days=56))
print(tables.engine.collect(lazy).num_rows)
"""


@pytest.fixture
def named(tmp_path: Path) -> Path:
    path = tmp_path / "named.csv"
    path.write_text("a\n1\n")
    return path


@pytest.mark.parametrize("reading", ["read_csv", "read_text", "read_blob", "read_parquet"])
def test_a_file_that_was_not_named_cannot_be_read(named, tmp_path, reading):
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    engine = DuckDBEngine([named])
    assert engine.rows(f"SELECT * FROM read_csv({literal(named)})") == [{"a": 1}]
    for path in (other, Path("/etc/hostname"), tmp_path / "*.csv", named.parent / "../*/other.csv"):
        with pytest.raises(duckdb.PermissionException, match="disabled by configuration"):
            engine.rows(f"SELECT * FROM {reading}({literal(path)})")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/out.db'",
        "EXPORT DATABASE '{folder}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_nothing_is_written_attached_or_installed(named, tmp_path, sql):
    engine = DuckDBEngine([named])
    with pytest.raises(duckdb.Error, match="disabled"):
        engine.create("x", "SELECT 1; " + sql.format(folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["named.csv"]


@pytest.mark.parametrize(
    "setting",
    [
        "enable_external_access = true",
        "lock_configuration = false",
        "allowed_directories = ['/']",
        "allowed_paths = ['/etc/hostname']",
        "TimeZone = 'America/New_York'",
    ],
)
def test_no_setting_can_be_changed(named, setting):
    engine = DuckDBEngine([named])
    with pytest.raises(duckdb.Error, match=r"locked|Cannot"):
        engine.create("x", f"SELECT 1; SET {setting}")


def test_an_interpreter_that_ends_with_live_relations_says_nothing():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_closing_the_engine_removes_where_it_spilled():
    engine = DuckDBEngine()
    (spill,) = engine.rows("SELECT current_setting('temp_directory') AS path")
    assert Path(str(spill["path"])).is_dir()
    engine.close()
    assert not Path(str(spill["path"])).exists()


def test_an_engine_that_is_forgotten_removes_where_it_spilled():
    engine = DuckDBEngine()
    (spill,) = engine.rows("SELECT current_setting('temp_directory') AS path")
    del engine
    assert not Path(str(spill["path"])).exists()


def test_results_come_whole_or_in_batches():
    engine = DuckDBEngine()
    engine.create("numbers", "SELECT range AS n FROM range(10000)")
    lazy = engine.lazy("numbers")
    batches = list(engine.batches(lazy, rows=2_048))
    assert len(batches) > 1
    assert sum(batch.num_rows for batch in batches) == engine.collect(lazy).num_rows == 10_000


def test_constants_become_a_table():
    engine = DuckDBEngine()
    columns = {"a": [1, 2], "b": [None, "x"]}
    assert engine.collect(engine.values(columns)).to_pydict() == columns


def test_a_table_takes_the_place_of_an_earlier_one_of_its_name():
    engine = DuckDBEngine()
    engine.create("t", "SELECT 1 AS a")
    engine.store(engine.values({"b": [2]}), "t")
    assert engine.rows("SELECT * FROM t") == [{"b": 2}]


def test_too_little_memory_is_told_with_the_limit_and_the_way_out():
    engine = DuckDBEngine(memory_limit="20MB", threads=1)
    with (
        pytest.raises(StorageError, match=r"memory limit of .* for table 'x'.*memory_limit"),
        engine.reading("table 'x'"),
    ):
        engine.rows("SELECT list(range) AS numbers FROM range(20_000_000)")


def test_names_and_constants_are_quoted():
    engine = DuckDBEngine()
    hostile = """x"; DROP TABLE t; -- '"""
    engine.create(hostile, f"SELECT {literal(hostile)} AS {identifier(hostile)}")
    assert engine.rows(f"SELECT * FROM {identifier(hostile)}") == [{hostile: hostile}]
    assert [literal(value) for value in (True, 2, 0.5, date(2024, 1, 1))] == [
        "true",
        "2",
        "0.5",
        "'2024-01-01'",
    ]


def test_an_accepted_frame_is_a_table_of_its_own():
    engine = DuckDBEngine()
    names = {engine.accept(pa.table({"a": [number]})) for number in range(3)}
    assert len(names) == 3
    assert sorted(engine.rows(f"SELECT a FROM {name}")[0]["a"] for name in names) == [0, 1, 2]


def test_equal_rows_are_found_whatever_part_of_the_hashes_they_are_in(monkeypatch):
    monkeypatch.setattr("churn.data.engines.duck.HASHES_AT_ONCE", 100)
    engine = DuckDBEngine()
    engine.create("t", "SELECT range AS n FROM range(1000)")
    assert engine.all_differ("t", ["n"])
    assert not engine.may_agree("t", ["n"])
    engine.create("t", "SELECT n FROM t UNION ALL SELECT 517")
    assert not engine.all_differ("t", ["n"])
    assert engine.may_agree("t", ["n"])
