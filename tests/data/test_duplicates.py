"""Copies are told apart from true repeats: by file, by line number, by the time of day."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from churn.data.duplicates import timed_sql
from churn.data.settings import DataSettings, OrdersSource, TableSource
from churn.data.tables import Tables

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
HEAD = "customer_id,order_id,ordered_at,amount,product_id\n"
MILK = "a,1,2024-01-01 10:15:00,2.0,milk\n"
BREAD = "a,1,2024-01-01 10:15:00,3.0,bread\n"
LATER = "b,2,2024-02-01 09:00:00,5.0,milk\n"


def lines_of(folder: Path, *files: str, head: str = HEAD) -> Tables:
    for number, text in enumerate(files):
        (folder / f"part{number}.csv").write_text(head + text)
    source = OrdersSource(source="part*.csv", grain="line")
    return Tables.from_settings(DataSettings(orders=source), folder=folder, clock=CLOCK)


def amounts(tables: Tables) -> list[float]:
    found = [row["a"] for row in tables.engine.rows("SELECT amount AS a FROM orders ORDER BY a")]
    tables.close()
    return found


def test_lines_that_stand_in_two_overlapping_files_count_once(tmp_path):
    tables = lines_of(tmp_path, MILK + BREAD, BREAD + MILK + LATER)
    assert tables.audits["orders"].dropped == {"copies of another row": 2}
    assert tables.count("order_lines") == 3
    assert amounts(tables) == [5.0, 5.0]


def test_equal_lines_of_one_file_were_bought_twice(tmp_path):
    """Of equal lines as many count as the file holds that has most of them."""
    assert amounts(lines_of(tmp_path, MILK + MILK + BREAD)) == [7.0]
    assert amounts(lines_of(tmp_path, MILK + MILK + BREAD, MILK)) == [7.0]
    assert amounts(lines_of(tmp_path, MILK, MILK * 3)) == [6.0]


def test_equal_lines_with_equal_line_numbers_are_copies_in_one_file_too(tmp_path):
    head = HEAD.replace("\n", ",Line No\n")
    rows = [MILK.replace("\n", ",1\n"), BREAD.replace("\n", ",2\n"), MILK.replace("\n", ",1\n")]
    tables = lines_of(tmp_path, "".join(rows), head=head)
    assert tables.audits["orders"].dropped == {"copies of another row": 1}
    assert amounts(tables) == [5.0]


def test_a_column_that_is_called_line_and_numbers_nothing_tells_nothing(tmp_path):
    head = HEAD.replace("\n", ",line\n")
    rows = [text.replace("\n", ",dairy\n") for text in (MILK, BREAD, MILK)]
    assert amounts(lines_of(tmp_path, "".join(rows), head=head)) == [7.0]


def test_lines_that_were_loaded_again_count_once_and_from_the_first_time_on():
    def line(loaded: str, product: str = "milk") -> dict:
        return {
            "customer_id": "a",
            "order_id": "1",
            "ordered_at": "2024-01-01 10:00",
            "amount": 2.0,
            "product_id": product,
            "loaded_at": loaded,
        }

    rows = [line("2024-01-02"), line("2024-01-03"), line("2024-01-03", "bread")]
    tables = Tables.from_frames(pa.Table.from_pylist(rows), grain="line", clock=CLOCK)
    assert amounts(tables) == [2.0, 4.0]


def test_orders_without_ids_of_two_files_are_copies_to_the_second(tmp_path):
    head = "customer_id,ordered_at,amount\n"
    timed, dated = "a,2024-01-01 10:15:07,2.0\n", "a,2024-01-02,3.0\n"
    for name in ("x1.csv", "x2.csv"):
        (tmp_path / name).write_text(head + timed + dated)
    source = OrdersSource(source=["x1.csv", "x2.csv"])
    tables = Tables.from_settings(DataSettings(orders=source), folder=tmp_path, clock=CLOCK)
    assert tables.audits["orders"].dropped == {"copies of another row": 1}
    assert "1 rows are the same as another and have no time" in tables.audits["orders"].warnings[0]
    assert amounts(tables) == [2.0, 3.0, 3.0]


REDEEMED = {"customer_id": "a", "redeemed_at": "2024-01-05T10:00:00Z", "offer_id": "x"}
CONTACTED = {"customer_id": "a", "contacted_at": "2024-01-05 10:00:01", "campaign_id": "x"}
VISITED = {"customer_id": "a", "occurred_at": "2024-01-05 10:00:01", "event_type": "visit"}


@pytest.mark.parametrize(
    ("table", "row"), [("redemptions", REDEEMED), ("contacts", CONTACTED), ("events", VISITED)]
)
def test_what_happened_twice_in_the_same_second_is_a_copy(table, row):
    orders = pa.Table.from_pylist([{"customer_id": "a", "ordered_at": "2024-01-01", "amount": 1.0}])
    late = {**row, "loaded_at": "2024-02-02"}
    rows = [{**row, "loaded_at": "2024-02-01"}, late, late]
    tables = Tables.from_frames(orders, clock=CLOCK, **{table: pa.Table.from_pylist(rows)})
    assert tables.audits[table].dropped == {"copies of another row": 2}
    (kept,) = tables.engine.rows(f"SELECT loaded_day FROM {table}")
    assert kept["loaded_day"] == (datetime(2024, 2, 1) - datetime(1970, 1, 1)).days


def test_what_happened_twice_on_one_date_is_a_repeat_and_told():
    orders = pa.Table.from_pylist([{"customer_id": "a", "ordered_at": "2024-01-01", "amount": 1.0}])
    rows = pa.Table.from_pylist([{**REDEEMED, "redeemed_at": "2024-01-05"}] * 3)
    audit = Tables.from_frames(orders, redemptions=rows, clock=CLOCK).audits["redemptions"]
    assert audit.dropped == {}
    assert audit.warnings[0].startswith("2 rows are the same as another and have no time of day")


def test_order_lines_of_overlapping_files_count_once(tmp_path):
    (tmp_path / "orders.csv").write_text(
        "customer_id,order_id,ordered_at,amount\na,1,2024-01-01,5\n"
    )
    line = "order_id,product_id,quantity,amount\n1,milk,1,2.0\n1,milk,1,2.0\n"
    for name in ("l1.csv", "l2.csv"):
        (tmp_path / name).write_text(line)
    settings = DataSettings(
        orders=OrdersSource(source="orders.csv"), order_lines=TableSource(source="l*.csv")
    )
    tables = Tables.from_settings(settings, folder=tmp_path, clock=CLOCK)
    assert tables.count("order_lines") == 2
    assert tables.audits["order_lines"].dropped == {"copies of another row": 2}
    tables.close()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_a_midnight_of_the_zone_is_a_date_alone_and_what_is_infinite_is_neither(zone):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def timed(written):
            instant = f"timezone('{zone}', TIMESTAMP '{written}')"
            return connection.sql(f"SELECT {timed_sql(instant, [zone])}").fetchall()[0][0]

        assert [timed(f"{day} 00:00:00") for day in ("1960-01-02", "2024-07-01")] == [False] * 2
        assert [timed(f"{day} 00:00:01") for day in ("1960-01-02", "2024-07-01")] == [True] * 2
        assert timed("infinity") is None
