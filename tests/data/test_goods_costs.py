"""The cost of goods of orders, from lines of the same file or of their own, and what it is for."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from churn.analytics.cohorts import cohorts
from churn.analytics.metrics import metrics
from churn.data.tables import Tables

START = datetime(2024, 1, 1, 12, tzinfo=UTC)


def line(order_id, day, amount, quantity, unit_cost, **more):
    return {
        "customer_id": "ann",
        "order_id": order_id,
        "ordered_at": START + timedelta(days=day),
        "amount": amount,
        "quantity": quantity,
        "unit_cost": unit_cost,
        **more,
    }


LINES = [
    line("a", 1, 30.0, 3.0, 4.0),  # 18
    line("a", 1, 20.0, 1.0, None),  # unknown: half of 20
    line("b", 9, -10.0, -1.0, 4.0),  # -6
    line("c", 40, 8.0, 1.0, 5.0),  # 3
]
WHOLE_MARGIN = 18.0 + 10.0 - 6.0 + 3.0


@pytest.fixture(scope="module", params=["duckdb", "polars"])
def engine(request):
    return request.param


def of_lines(engine, rows=LINES):
    table = pa.Table.from_pylist(rows)
    return Tables.from_frames(table, grain="line", engine=engine)


def of_two_tables(engine, rows=LINES):
    lines = pa.table(
        {
            "order_id": [row["order_id"] for row in rows],
            "product_id": ["p"] * len(rows),
            **{name: [row[name] for row in rows] for name in ("amount", "quantity", "unit_cost")},
        }
    )
    amounts = {"a": (1, 50.0), "b": (9, -10.0), "c": (40, 8.0)}
    orders = [
        {
            "customer_id": "ann",
            "order_id": name,
            "ordered_at": START + timedelta(days=day),
            "amount": amount,
        }
        for name, (day, amount) in amounts.items()
    ]
    return Tables.from_frames(pa.Table.from_pylist(orders), order_lines=lines, engine=engine)


@pytest.mark.parametrize("build", [of_lines, of_two_tables])
def test_margins_are_net_minus_the_cost_of_goods(engine, build):
    tables = build(engine)
    options = {"active_days": 30, "as_of": tables.limit(), "margin_rate": 0.5}
    found = metrics(tables, period="month", value_days=None, **options)
    rows = [row for row in found.table().to_pylist() if row["split"] == "all"]
    assert [row["margin"] for row in rows] == [22.0, 3.0]
    assert rows[-1]["realised_value"] == WHOLE_MARGIN
    assert "41.7% of net revenue has no unit_cost: the margin rate applies to it" in found.notes
    (triangle, *_) = cohorts(tables, period="year", **options).table().to_pylist()
    assert triangle["cumulative_margin"] is None  # 2024 is open


def test_an_order_without_lines_has_an_unknown_cost(engine):
    tables = of_two_tables(engine, LINES[:-1])
    orders = tables.engine.rows("SELECT order_id, cost, uncosted FROM orders ORDER BY order_id")
    assert [(row["cost"], row["uncosted"]) for row in orders] == [(12, 20), (-4, 0), (0, 8)]


def test_lines_with_an_arrival_are_not_used_and_said_not_to_be():
    orders = pa.table(
        {"customer_id": ["ann"], "order_id": ["a"], "ordered_at": [START], "amount": [9.0]}
    )
    lines = pa.table(
        {
            "order_id": ["a"],
            "product_id": ["p"],
            "quantity": [1.0],
            "amount": [9.0],
            "unit_cost": [4.0],
            "loaded_at": [START],
        }
    )
    tables = Tables.from_frames(orders, order_lines=lines)
    assert "cost" not in tables.columns("orders")
    assert any("unit_cost is not used" in note for note in tables.audits["orders"].warnings)


def test_without_unit_costs_the_margin_rate_applies(engine):
    bare = [{name: value for name, value in row.items() if name != "unit_cost"} for row in LINES]
    tables = of_lines(engine, bare)
    found = metrics(tables, active_days=30, as_of=tables.limit(), margin_rate=0.5, value_days=None)
    assert found.table()["margin"].to_pylist()[-1] == 4.0
    assert not any("unit_cost" in note for note in found.notes)
