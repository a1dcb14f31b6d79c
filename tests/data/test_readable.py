"""Files as people have them are read as the table in them, and nothing of them is left behind."""

import gzip
import io
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.data.readable import PREFIX
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.data.text_layout import table_lines, text_layout
from churn.errors import ConfigError, DataError

CLOCK = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = [("007", "2024-01-15", 1.5), ("7", "2024-01-16", 2.0), ("8", "2024-02-16", 3.25)]
CSV = "customer_id,ordered_at,amount\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS)
READ = [(customer, amount) for customer, _, amount in ROWS]


def load(folder: Path, source: str | list[str], **options: object) -> Tables:
    data = DataSettings(orders=OrdersSource(source=source, **options))
    return Tables.from_settings(data, folder=folder, clock=CLOCK)


def read(folder: Path, source: str | list[str], **options: object) -> list[tuple]:
    tables = load(folder, source, **options)
    found = tables.engine.rows("SELECT customer_id, amount FROM orders ORDER BY ALL")
    tables.close()
    return [tuple(row.values()) for row in found]


def zipped(**members: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return held.getvalue()


def workbook(path: Path, **sheets: list[list[object]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


def as_cells() -> list[list[object]]:
    return [[who, datetime.fromisoformat(when), amount] for who, when, amount in ROWS]


HEADER = ["customer_id", "ordered_at", "amount"]
SEMICOLONS = CSV.replace(",", ";")


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("o.csv", f"sep=;\n{SEMICOLONS}".encode(), "skipped 1 line above the header"),
        ("o.csv", f'"sep=;"\r\n{SEMICOLONS}'.encode("utf-8-sig"), "skipped 1 line above"),
        ("o.csv", f"My shop\n\nFrom,2024\n{CSV}".encode(), "skipped 3 lines above the header"),
        ("o.csv", f"{CSV}\nTotal,,6.75\n3 orders\n".encode(), "skipped 2 lines below the rows"),
        ("o.csv", f"My shop\n{CSV}Total,,6.75\n".encode("utf-16"), "1 line above the header and 1"),
        ("o.csv.gz", gzip.compress(f"My shop\n{CSV}Total,,6.75\n".encode()), "header and 1 line"),
        ("o.csv", CSV.replace("\n", "\r\n", 2).encode(), None),
        ("o.csv", CSV.replace("\n", "\r").encode(), None),
        ("o.zip", zipped(**{"orders.csv": CSV}), None),
        ("o.zip", zipped(**{"a__sales.TXT": SEMICOLONS, "__MACOSX__._a.csv": "no"}), None),
    ],
    ids=[
        "sep",
        "sep-bom",
        "title",
        "tail",
        "utf-16",
        "gzip",
        "mixed-ends",
        "mac-ends",
        "zip",
        "zip-other",
    ],
)
def test_what_surrounds_a_table_is_left_out_and_noted(tmp_path, name, content, note):
    (tmp_path / name).write_bytes(content)
    encoding = "utf-16" if content[:2] == b"\xff\xfe" else "utf-8"
    tables = load(tmp_path, name, encoding=encoding)
    rows = tables.engine.rows("SELECT customer_id, amount FROM orders ORDER BY ALL")
    notes = " ".join(tables.audits["orders"].notes)
    tables.close()
    assert [tuple(row.values()) for row in rows] == READ
    assert (note or "") in notes
    assert ("skipped" in notes) == (note is not None)


def test_a_workbook_is_read_from_its_first_sheet_with_a_table_and_ids_keep_their_zeros(tmp_path):
    rows = [["My orders"], [], HEADER, *as_cells(), ["Total", None, 6.75]]
    workbook(tmp_path / "o.xlsx", About=[["hello"]], Orders=rows, Other=[["a", "b"], [1, 2]])
    assert read(tmp_path, "o.xlsx") == READ
    notes = load(tmp_path, "o.xlsx").audits["orders"].notes
    assert notes == (
        "o.xlsx: sheet 'Orders' is read",
        "o.xlsx: skipped 2 lines above the header and 1 line below the rows",
    )


def test_a_sheet_may_be_named_and_one_that_is_not_there_is_refused(tmp_path):
    workbook(
        tmp_path / "o.xlsx", Old=[HEADER, ["x", datetime(2020, 1, 1), 1]], New=[HEADER, *as_cells()]
    )
    assert read(tmp_path, "o.xlsx", sheet="New") == READ
    with pytest.raises(
        ConfigError, match=r"a sheet of o\.xlsx, got Orders\. It has \['Old', 'New'\]"
    ):
        load(tmp_path, "o.xlsx", sheet="Orders")


def test_numbers_dates_and_texts_of_a_workbook_keep_what_they_are(tmp_path):
    header = [*HEADER, "order_id", "store"]
    rows = [
        [17850, datetime(2024, 1, 15, 10, 30), 12.5, "007", 1],
        [12346.0, datetime(2024, 1, 16), 3, 8, "north"],
    ]
    workbook(tmp_path / "o.xlsx", Orders=[header, *rows])
    tables = load(tmp_path, "o.xlsx")
    found = tables.engine.rows("SELECT customer_id, order_id, day, amount FROM orders ORDER BY day")
    assert [tuple(row.values()) for row in found] == [
        ("17850", "007", 19737.4375, 12.5),
        ("12346", "8", 19738.0, 3.0),
    ]


def test_a_folder_and_a_glob_read_next_months_file_as_well(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders_01.csv").write_text(CSV)
    (folder / ".orders_00.csv").write_text("hidden")
    (folder / "readme.md").write_text("not a table")
    assert read(tmp_path, "exports") == READ
    (folder / "orders_02.csv").write_text("sep=,\n" + CSV.replace("2024", "2025"))
    for source in ("exports", "exports/orders_*.csv"):
        assert len(read(tmp_path, source)) == 2 * len(ROWS)


def test_all_files_of_a_zip_are_read_whatever_their_names(tmp_path):
    later = CSV.replace("2024", "2025")
    (tmp_path / "o.zip").write_bytes(zipped(**{"..__..__evil.csv": CSV, "b__2.csv": later}))
    assert len(read(tmp_path, "o.zip")) == 2 * len(ROWS)
    assert {path.name for path in tmp_path.parent.rglob("evil.csv")} == set()


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.xlsx", "bomb.csv.gz"])
def test_a_file_that_unpacks_to_far_more_than_a_table_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.setattr("churn.data.readable.SMALL", 10_000)
    text = "title\n" + CSV + "0,2024-01-01,1\n" * 400_000
    bomb = zipped(**{"o.csv": text}) if ".csv" not in name else gzip.compress(text.encode())
    (tmp_path / name).write_bytes(bomb)
    with pytest.raises(DataError, match="must unpack to at most 200 times its size"):
        load(tmp_path, name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("o.xlsx", b"PK", r"o\.xlsx must be a complete, readable Excel workbook"),
        ("o.zip", b"PK", r"o\.zip must be a complete, readable zip"),
        ("o.zip", zipped(**{"o.pdf": "x"}), r"o\.zip must hold a \.csv, \.tsv or \.txt file"),
        ("o.csv", SEMICOLONS.encode(), r"must have the delimiter ',', got ';' in o\.csv"),
    ],
)
def test_files_that_hold_no_such_table_are_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path, name, delimiter=",")


def test_files_of_a_table_that_differ_are_told_by_name(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "b.csv").write_text(SEMICOLONS)
    with pytest.raises(DataError, match=r"delimiter ',', got ';' in b\.csv"):
        load(tmp_path, ["a.csv", "b.csv"])
    (tmp_path / "b.csv").write_text("customer_id,ordered_at,amount,store\n9,2024-01-01,1,x\n")
    notes = load(tmp_path, ["a.csv", "b.csv"]).audits["orders"].notes
    assert notes == ("a.csv has no column 'store', which other files have",)
    workbook(tmp_path / "c.xlsx", Orders=[HEADER, *as_cells()])
    with pytest.raises(ConfigError, match="must be all text, or all Excel or Parquet"):
        load(tmp_path, ["a.csv", "c.xlsx"])


def test_copies_are_private_and_gone_when_the_tables_are_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "o.zip").write_bytes(zipped(**{"o.csv": CSV}))
    tables = load(tmp_path, "o.zip")
    (folder,) = tmp_path.glob(f"{PREFIX}*")
    assert folder.stat().st_mode & 0o077 == 0
    tables.close()
    assert not list(tmp_path.glob(f"{PREFIX}*"))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS.filter(str.strip), st.integers(0, 99)), min_size=1, max_size=8),
    title=st.sampled_from(["", "My shop\n\n", "From 2024-01-01\n"]),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_a_table_with_any_values_is_never_cut(tmp_path, rows, title, ends):
    """Whatever stands in the rows: those that a CSV reader finds below the title are all kept."""
    import csv

    held = io.StringIO()
    writer = csv.writer(held, lineterminator=ends)
    writer.writerow(["customer", "when", "amount"])
    writer.writerows((name, "2024-01-15", number) for name, number in rows)
    path = tmp_path / "o.csv"
    path.write_text(title.replace("\n", ends) + held.getvalue(), encoding="utf-8", newline="")
    layout = text_layout(path, encoding="utf-8")
    kept = "".join(table_lines(path, layout, "utf-8")).encode("latin-1").decode()
    assert layout.above == title.count("\n")
    assert len(list(csv.reader(io.StringIO(kept)))) == len(rows) + 1
