"""Every row on one customer: in the connected tables, the ledger, and the written files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from churn.data.contracts import TABLES
from churn.data.tables import Tables
from churn.errors import ChurnError
from churn.files.erase_rows import rows_of
from churn.files.ledger import Ledger
from churn.files.spreadsheets import unguarded
from churn.jobs.access_words import ARMS_IN_WORDS
from churn.jobs.erase_audiences import AddressesUnknownError
from churn.jobs.erase_files import FileEraser
from churn.jobs.workbook import as_table, cells_of
from churn.retention.suppression import Suppression

__all__ = ["Row", "file_rows", "ledger_rows", "plain", "table_rows"]

Row = dict[str, Any]
MEANINGS = {str(code): code.meaning for code in Suppression}


def table_rows(tables: Tables, customer_id: str) -> dict[str, list[Row]]:
    """The customer's rows by table, under the names of the contracts; times in UTC, ISO 8601."""
    mine = {
        name: nw.col("customer_id") == customer_id
        for name in TABLES
        if tables.has(name) and "customer_id" in tables.columns(name)
    }
    found = {name: _rows_of(tables, name, condition) for name, condition in mine.items()}
    if tables.has("order_lines"):
        theirs = [row["order_id"] for row in found["orders"]]
        found["order_lines"] = _rows_of(tables, "order_lines", nw.col("order_id").is_in(theirs))
    return found


def _rows_of(tables: Tables, name: str, condition: nw.Expr) -> list[Row]:
    rows = tables.engine.collect(tables.frame(name).filter(condition)).to_pylist()
    return [_in_words_of_the_contract(name, row) for row in rows]


def _in_words_of_the_contract(table: str, row: Row) -> Row:
    happened = TABLES[table].happened
    told = {}
    for name, value in row.items():
        if name.endswith("local_day"):
            continue  # the date of a time that is told
        if name == "day" or name.endswith("_day"):
            named = happened or name if name == "day" else name.removesuffix("_day") + "_at"
            told["birth_date" if named == "birth_date_at" else named] = _moment(value)
        else:
            told[name] = plain(value)
    return told


def _moment(days: object) -> str | None:
    if days is None:
        return None
    since_1970 = timedelta(milliseconds=round(float(str(days)) * 86_400_000))
    return (datetime(1970, 1, 1, tzinfo=UTC) + since_1970).isoformat()


def ledger_rows(ledger: Ledger, customer_id: str) -> dict[str, list[Row]]:
    """The ledger's rows on the customer by table, with arms and lots in words."""
    return {
        table: [explained({key: plain(value) for key, value in row.items()}) for row in rows]
        for table, rows in rows_of(ledger, customer_id).items()
    }


def explained(row: Row) -> Row:
    """The row with the meaning of its codes beside them."""
    more = {}
    if row.get("arm") in ARMS_IN_WORDS:
        more["arm_means"] = ARMS_IN_WORDS[row["arm"]]
    if row.get("suppression") in MEANINGS:
        more["suppression_means"] = MEANINGS[row["suppression"]]
    if "member" in row and "experiment" in row:
        kept = "kept without offers by lot" if row["member"] else "drawn, and not kept without"
        more["member_means"] = kept
    return {**row, **more}


def file_rows(paths: list[Path], eraser: FileEraser, customer_id: str) -> Iterator[Row]:
    """Each file that holds the customer: its name and their rows; of an audience, their number."""
    for path in paths:
        try:
            count = eraser.erase(path)
        except AddressesUnknownError:
            continue  # an audience, and nothing that could stand in it
        except ChurnError as failure:
            yield {"file": str(path), "could_not_be_read": str(failure)}
            continue
        if count and path.suffix != ".json":
            yield {"file": str(path), "count": count, "rows": list(_rows(path, customer_id))}


def _rows(path: Path, customer_id: str) -> Iterator[Row]:
    if path.suffix == ".csv":
        as_text = pa_csv.ConvertOptions(column_types={"customer_id": pa.string()})
        long = pa_csv.ParseOptions(newlines_in_values=True)
        table = pa_csv.read_csv(path, parse_options=long, convert_options=as_text)
        if "customer_id" in table.column_names:
            place = table.column_names.index("customer_id")
            ids = unguarded(table["customer_id"])
            table = table.set_column(place, "customer_id", ids)
    elif path.suffix == ".xlsx":
        table = as_table(*cells_of(path))
    else:
        table = pq.read_table(path)
    if "customer_id" in table.column_names:
        for row in table.filter(pc.equal(table["customer_id"], customer_id)).to_pylist():
            yield explained({key: plain(value) for key, value in row.items()})


def plain(value: Any) -> Any:
    """The value as JSON can hold it: times and dates as ISO 8601, no number that is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
