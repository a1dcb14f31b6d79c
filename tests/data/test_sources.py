"""Files as they are: whole ones are read, broken ones are refused by name."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError
from churn.storage.manifests import publish_with_manifest

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
ROWS = 1_000
CSV = "customer_id,ordered_at,amount\n007,2024-01-15,1.5\n7,2024-01-16 10:00,2\n"


def load(folder: Path, source: str | list[str], **options: object) -> Tables:
    data = DataSettings(orders=OrdersSource(source=source, **options))
    return Tables.from_settings(data, folder=folder, clock=CLOCK)


def rows_of(tables: Tables) -> list[tuple]:
    found = tables.engine.rows("SELECT customer_id, amount FROM orders ORDER BY ALL")
    return [tuple(row.values()) for row in found]


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "orders.parquet"
    columns = {
        "customer_id": [str(number) for number in range(ROWS)],
        "ordered_at": ["2024-01-15"] * ROWS,
        "amount": [1.0] * ROWS,
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
@pytest.mark.parametrize("depth", [0, 4], ids=["near", "deep"])
def test_a_truncated_parquet_file_is_refused_by_name(parquet, share, depth):
    """However long the path, the name of the file is told and the path is not."""
    folder = parquet.parent.joinpath(*["x" * 60] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    whole = parquet.read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: max(1, int(share * len(whole)))])
    with pytest.raises(DataError, match=r"'orders' must be a complete.*'cut\.parquet'.*Export it"):
        load(folder, "cut.parquet")


def test_text_named_parquet_is_refused_by_name(tmp_path):
    (tmp_path / "text.parquet").write_text(CSV)
    with pytest.raises(DataError, match=r"must be a complete, readable file.*'text\.parquet'"):
        load(tmp_path, "text.parquet")


@pytest.mark.parametrize("name", ["empty.parquet", "empty.csv", "empty.csv.gz"])
def test_a_file_of_no_bytes_is_refused_by_name(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=rf"file {name} .* got 0 bytes\. Export it again"):
        load(tmp_path, name)


def test_a_parquet_file_with_a_scrambled_page_is_refused(parquet):
    damaged = bytearray(parquet.read_bytes())
    damaged[4:60] = bytes(byte ^ 0xFF for byte in damaged[4:60])
    parquet.write_bytes(damaged)
    with pytest.raises(DataError, match="'orders' must be a complete, readable file"):
        load(parquet.parent, parquet.name)


def test_a_cut_gzip_file_is_refused(tmp_path):
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(CSV.encode() * 100)[:40])
    with pytest.raises(DataError, match=r"must be a complete, readable file.*GZIP"):
        load(tmp_path, "cut.csv.gz")


def test_a_file_that_differs_from_its_manifest_is_refused_by_name(parquet):
    whole = parquet.read_bytes()
    with publish_with_manifest(parquet, {}) as temporary:
        temporary.write_bytes(whole)
    assert len(rows_of(load(parquet.parent, parquet.name))) == ROWS
    parquet.write_bytes(whole.replace(b"2024-01-15", b"2024-01-16"))
    with pytest.raises(DataError, match=r"orders\.parquet"):
        load(parquet.parent, parquet.name)


def test_nothing_is_written_where_a_file_is_refused(tmp_path):
    (tmp_path / "orders.csv").write_text("who,when\na,2024-01-15\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(DataError, match=r"\['amount', 'customer_id', 'ordered_at'\]"):
        load(tmp_path, "orders.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (CSV.encode(), {}),
        (CSV.encode("utf-8-sig"), {}),
        (CSV.encode("utf-16"), {"encoding": "utf-16"}),
        (CSV.replace("\n", "\r\n").encode(), {}),
        (CSV.replace(",", ";").encode(), {"delimiter": ";"}),
        (CSV.replace(",", "\t").encode(), {"delimiter": "\t"}),
        (gzip.compress(CSV.encode()), {}),
    ],
    ids=["plain", "byte order mark", "utf-16", "windows", "semicolons", "tabs", "gzip"],
)
def test_text_is_read_as_text(tmp_path, content, options):
    """007 stays 007, and is not 7."""
    name = "orders.csv.gz" if content.startswith(b"\x1f\x8b") else "orders.csv"
    (tmp_path / name).write_bytes(content)
    assert rows_of(load(tmp_path, name, **options)) == [("007", 1.5), ("7", 2.0)]


def test_latin_letters_need_their_encoding(tmp_path):
    (tmp_path / "orders.csv").write_bytes(CSV.replace("007", "Müller").encode("latin-1"))
    assert ("Müller", 1.5) in rows_of(load(tmp_path, "orders.csv", encoding="latin-1"))
    with pytest.raises(DataError, match="must be a complete, readable file of its kind"):
        load(tmp_path, "orders.csv")


def test_dates_written_as_whole_numbers_are_read_with_their_format(tmp_path):
    columns = {"customer_id": [7], "ordered_at": [20240115], "amount": [1.0]}
    pq.write_table(pa.table(columns), tmp_path / "orders.parquet")
    tables = load(tmp_path, "orders.parquet", date_format="%Y%m%d")
    assert tables.span()[0].isoformat() == "2024-01-15"


def test_a_glob_and_a_list_read_all_their_files(parquet):
    folder = parquet.parent
    (folder / "orders_2.parquet").write_bytes(parquet.read_bytes())
    assert len(rows_of(load(folder, "orders*.parquet"))) == 2 * ROWS
    assert len(rows_of(load(folder, ["orders.parquet", "orders_2.parquet"]))) == 2 * ROWS
    assert len(rows_of(load(Path("/"), str(parquet)))) == ROWS


@pytest.mark.parametrize("name", ["it's", "year [2024]", "Umsätze", 'q"; drop'])
def test_folders_and_files_may_have_any_name(parquet, name):
    folder = parquet.parent / name
    folder.mkdir()
    (folder / f"{name}.parquet").write_bytes(parquet.read_bytes())
    assert len(rows_of(load(folder, f"{name}.parquet"))) == ROWS


def test_a_file_that_is_not_there_is_missed(tmp_path):
    with pytest.raises(ConfigError, match=r"\[data\.orders\] source .* got nothing\.csv\. Check"):
        load(tmp_path, "nothing.csv")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "orders.pdf").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=r"got orders\.pdf\. Save it as CSV or \.xlsx"):
        load(tmp_path, "orders.pdf")
