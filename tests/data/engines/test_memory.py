"""The memory that DuckDB may use where nobody says."""

import duckdb
import pytest

from churn.data.engines.choice import open_engine
from churn.data.engines.memory import machine_bytes, usual_memory_limit
from churn.errors import ConfigError


@pytest.fixture
def sized(tmp_path):
    def make(name: str, size: int):
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size)  # takes no room on the disk
        return path

    return make


def test_small_files_get_two_and_a_half_gigabytes(sized):
    assert machine_bytes() > 3.2e9
    assert usual_memory_limit([sized("orders.parquet", 1_000)]) == "2500MB"


def test_large_files_get_what_their_rows_need(sized, monkeypatch):
    monkeypatch.setattr("churn.data.engines.memory.machine_bytes", lambda: 100_000_000_000)
    files = [sized("a.parquet", 300_000_000), sized("b.csv", 200_000_000)]
    assert usual_memory_limit(files) == "4200MB"


def test_no_limit_is_above_four_fifths_of_the_machine(sized, monkeypatch):
    monkeypatch.setattr("churn.data.engines.memory.machine_bytes", lambda: 2_000_000_000)
    assert usual_memory_limit([sized("a.parquet", 1_000)]) == "1600MB"


def test_frames_leave_duckdb_its_own_limit():
    assert usual_memory_limit([]) is None


def test_what_the_settings_say_goes_before(sized):
    shown = "SELECT current_setting('memory_limit') AS v"
    files = [sized("orders.parquet", 1_000)]
    stated = open_engine("duckdb", files, memory_limit="300MB").rows(shown)
    usual = open_engine("duckdb", files).rows(shown)
    assert stated == duckdb_says("300MB")
    assert usual == duckdb_says("2500MB")


@pytest.mark.parametrize("limit", ["lots", "2", "2 elephants", "0GB", "-1GB", ""])
def test_a_limit_that_is_no_size_is_refused(limit):
    with pytest.raises(ConfigError, match=r'memory_limit must be a size above zero.*e\.g\. "2GB"'):
        open_engine("duckdb", memory_limit=limit)


def duckdb_says(limit: str) -> list[dict[str, object]]:
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{limit}'")
    shown = connection.sql("SELECT current_setting('memory_limit') AS v")
    return shown.to_arrow_table().to_pylist()
