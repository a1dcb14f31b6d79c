"""Results written as CSV or as a workbook are read back unchanged, whatever their texts."""

from datetime import date

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.errors import DataError
from churn.results.output import read_table, writing_table
from churn.results.workbook import by_money
from churn.scoring.score import SCORE_SCHEMA
from churn.storage.manifests import sidecar_of

SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("as_of", pa.date32()),
        ("value_at_risk", pa.float64()),
        ("orders", pa.int64()),
        ("at_risk", pa.bool_()),
        ("reason_families", pa.list_(pa.string())),
    ]
)
IDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1)
ROWS = st.lists(
    st.tuples(
        IDS | st.sampled_from(["=1+1", "+49 30", "'=x", "007", "1e5", "true", "2024-01-01"]),
        st.dates(date(1990, 1, 1), date(2100, 1, 1)) | st.none(),
        st.floats(-1e9, 1e9) | st.none(),
        st.integers(-(2**50), 2**50) | st.none(),
        st.booleans() | st.none(),
        st.lists(st.sampled_from(["spend", "gap"]), min_size=1, max_size=2) | st.none(),
    ),
    max_size=6,
)


def table_of(rows):
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    return pa.table(dict(zip(SCHEMA.names, map(list, columns), strict=True)), schema=SCHEMA)


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
@settings(max_examples=20)
@given(rows=ROWS)
def test_texts_dates_numbers_and_flags_survive_a_round_trip(tmp_path_factory, ending, rows):
    path = tmp_path_factory.mktemp("back") / f"scores{ending}"
    table = table_of(rows)
    with writing_table(path) as writer:
        writer.write(table, {})
    result = read_table(path, schema=SCHEMA)
    expected = by_money(table) if ending == ".xlsx" else table
    name = "value_at_risk"  # a workbook keeps 16 digits, a CSV file 9 and the cents
    money, expected_money = (t[name].fill_null(-1.0).to_pylist() for t in (result, expected))
    assert money == pytest.approx(expected_money, rel=1e-14 if ending == ".xlsx" else 5e-9)
    assert money == pytest.approx(expected_money, rel=0, abs=1e-4)
    assert result.select(SCHEMA.names).drop([name]).equals(expected.drop([name]))


def test_a_workbook_is_sorted_by_money_with_a_frozen_header_and_no_formulas(tmp_path):
    rows = [
        ("=HYPERLINK(1)", date(2024, 1, 1), 1.0, 1, True, ["a"]),
        ("007", date(2024, 1, 1), None, 1, True, ["a"]),
        ("+49", date(2024, 1, 1), 30.5, 1, True, ["a"]),
    ]
    with writing_table(tmp_path / "s.xlsx") as writer:
        writer.write(table_of(rows), {})
    sheet = openpyxl.load_workbook(tmp_path / "s.xlsx").active
    assert [cell.value for cell in sheet["A"]] == ["customer_id", "+49", "=HYPERLINK(1)", "007"]
    assert {cell.data_type for cell in sheet["A"]} == {"s"}
    assert sheet.freeze_panes == "A2"
    assert sheet["C2"].value == 30.5
    assert sidecar_of(tmp_path / "s.xlsx").exists()


def test_a_workbook_without_rows_has_a_header(tmp_path):
    with writing_table(tmp_path / "b.xlsx") as writer:
        assert writer.write_batches(iter(table_of([]).to_batches()), SCHEMA, {}) == 0
    sheet = openpyxl.load_workbook(tmp_path / "b.xlsx").active
    assert [cell.value for cell in sheet[1]] == SCHEMA.names


def test_the_same_rows_give_identical_workbooks(tmp_path):
    for name in ("a.xlsx", "b.xlsx"):
        with writing_table(tmp_path / name) as writer:
            writer.write(table_of([("a", None, 1.0, 1, None, None)]), {})
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_a_value_of_another_type_is_reported_without_showing_it(tmp_path):
    (tmp_path / "scores.csv").write_text("customer_id,value_at_risk\na,much\n")
    with pytest.raises(DataError, match=r"column value_at_risk of scores\.csv must have.*double"):
        read_table(tmp_path / "scores.csv", schema=SCORE_SCHEMA)
