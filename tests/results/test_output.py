"""Result files are complete or absent, and safe to open in a spreadsheet."""

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.errors import ConfigError, DataError
from churn.results.output import guard_notes, read_table, rounded, writing_table
from churn.results.spreadsheets import guarded, unguarded
from churn.storage.manifests import verify_file


def written(folder, values, name="t.csv"):
    with writing_table(folder / name) as writer:
        writer.write(pa.table({"name": pa.array(values, pa.string())}), {})
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return [row[0] if row else "" for row in csv.reader(file)][1:]


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(words | words.map("=".__add__) | words.map("-".__add__), min_size=1, max_size=5))
def test_only_cells_that_start_like_a_formula_are_changed_in_csv(tmp_path, values):
    cells = written(tmp_path, values)
    assert cells == guarded(pa.array(values, pa.string())).to_pylist()
    assert unguarded(pa.array(cells, pa.string())).to_pylist() == values


TEXT_TYPES = {
    "text": pa.string(),
    "large text": pa.large_string(),
    "view of text": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "dictionary of large text": pa.dictionary(pa.int8(), pa.large_string()),
}


@pytest.mark.parametrize("kind", TEXT_TYPES)
def test_every_type_of_text_is_guarded(tmp_path, kind):
    column = pa.array(["=1+1", None, "anna"]).cast(TEXT_TYPES[kind])
    with writing_table(tmp_path / "t.csv") as writer:
        writer.write(pa.table({"name": column, "n": [1, 2, 3]}), {})
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == ['"\'=1+1",1', ",2", '"anna",3']


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (pa.list_(pa.string()), ["=1+1", "b"]),
        (pa.large_list(pa.large_string()), ["=1+1", None, "b"]),
        (pa.list_(pa.list_(pa.string())), [["=1+1"], ["b"]]),
        (pa.list_(pa.string(), 2), ["=1+1", "b"]),
        (pa.struct({"x": pa.string(), "y": pa.string()}), {"x": "=1+1", "y": "b"}),
    ],
)
def test_text_in_nested_values_is_guarded(tmp_path, kind, cell):
    with writing_table(tmp_path / "t.csv") as writer:
        writer.write(pa.table({"reasons": pa.array([cell], kind)}), {})
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == ['"\'=1+1 b"']


def test_customer_ids_changed_in_a_csv_file_are_counted(tmp_path):
    ids = pa.table({"customer_id": ["+4912345", "anna", "-1"]})
    with writing_table(tmp_path / "t.csv") as writer:
        writer.write(ids, {})
    assert guard_notes(writer)[0].startswith("2 customer ids begin like a formula (=, +, - or @)")
    with writing_table(tmp_path / "t.parquet") as writer:
        writer.write(ids, {})
    assert guard_notes(writer) == ()


def test_numbers_are_not_guarded(tmp_path):
    with writing_table(tmp_path / "t.csv") as writer:
        writer.write(pa.table({"gain": [-1.5, 2.0]}), {})
    assert (tmp_path / "t.csv").read_text() == '"gain"\n-1.5\n2\n'


def test_a_list_becomes_one_text_and_null_stays_null(tmp_path):
    reasons = pa.array([["Came late.", "Buys less."], [], None], pa.list_(pa.string()))
    with writing_table(tmp_path / "t.csv") as writer:
        writer.write(pa.table({"reasons": reasons}), {})
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[1:] == ['"Came late. Buys less."', '""', ""]


def test_parquet_keeps_every_value_and_the_manifest_has_the_facts(tmp_path):
    table = pa.table({"name": ["=1+1"]})
    with writing_table(tmp_path / "t.parquet") as writer:
        writer.write(table, {"run_id": "r-1"})
    assert pq.read_table(tmp_path / "t.parquet").equals(table)
    assert verify_file(tmp_path / "t.parquet") == {"rows": 1, "run_id": "r-1"}


def test_a_failure_leaves_the_existing_file_and_no_temporary_one(tmp_path):
    assert written(tmp_path, ["old"]) == ["old"]
    with pytest.raises(TypeError, match="not iterable"):
        written(tmp_path, 7)
    assert "old" in (tmp_path / "t.csv").read_text()
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("name", ["t", "t.xls", "t.PARQUET.gz", "parquet"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with (
        pytest.raises(ConfigError, match=r"must end in \.parquet, .* or \.xlsx, got .*Rename"),
        writing_table(tmp_path / name),
    ):
        pass


def test_an_altered_file_is_refused_before_it_is_read(tmp_path):
    """Fault 8: a flipped byte in a page is read without an error, but changes the hash."""
    path = tmp_path / "t.parquet"
    with writing_table(path) as writer:
        writer.write(pa.table({"n": list(range(1_000))}), {})
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"t\.parquet must match its manifest"):
        read_table(path)


def test_a_file_that_is_not_parquet_is_refused(tmp_path):
    (tmp_path / "t.parquet").write_text("customer_id,x\n")
    with pytest.raises(DataError, match=r"t\.parquet must be a complete Parquet file"):
        read_table(tmp_path / "t.parquet")


ordinary = st.one_of(st.floats(1e-11, 1e14), st.floats(-1e6, -1e-6), st.floats(0.01, 1))


def nine_digits_or_four_decimals(value):
    return float(f"{value:.9g}") if abs(value) < 1e5 else round(value, 4)


@settings(max_examples=50)
@given(st.lists(ordinary, min_size=1, max_size=20))
def test_numbers_in_csv_are_rounded_to_nine_digits_or_four_decimals(values):
    results = rounded(pa.chunked_array([pa.array(values, pa.float64())])).to_pylist()
    for value, result in zip(values, results, strict=True):
        nearest = nine_digits_or_four_decimals(value)
        assert result == nine_digits_or_four_decimals(result)
        assert abs(result - value) <= abs(nearest - value) + 1e-15 * abs(value)


def test_a_parquet_file_keeps_every_digit_and_a_csv_file_nine(tmp_path):
    values = [1 / 3, 12345.678912345, 0.0, 2e300, None, float("inf")]
    table = pa.table({"value": values, "count": [1, 2, 3, 4, 5, 6]})
    for name in ("t.csv", "t.parquet"):
        with writing_table(tmp_path / name) as writer:
            writer.write(table, {})
    assert pq.read_table(tmp_path / "t.parquet").equals(table)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[1:] == ["0.333333333,1", "12345.6789,2", "0,3", "2e+300,4", ",5", "inf,6"]
