"""The lines of orders: customer, day and arrival are their order's."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from churn.data.line_days import lines_of_orders


def test_a_line_takes_customer_day_and_arrival_from_its_order(open_shop):
    """One of another order, a return and a free one are left out."""
    at = datetime(2024, 3, 1, 12, tzinfo=UTC)
    loaded = {"loaded_at": at + timedelta(days=1)}
    orders = [{"customer_id": "a", "order_id": "1", "ordered_at": at, "amount": 9.0} | loaded]
    lines = pa.table(
        {
            "order_id": ["1", "1", "1", "2"],
            "product_id": ["p", "q", "r", "s"],
            "quantity": [1.0, 1.0, 1.0, 1.0],
            "amount": [9.0, -9.0, 0.0, 9.0],
            "loaded_at": [at + timedelta(days=2)] * 4,
        }
    )
    tables = open_shop(orders, order_lines=lines)
    (row,) = tables.engine.collect(lines_of_orders(tables)).to_pylist()
    assert (row["customer_id"], row["product_id"], row["local_day"]) == ("a", "p", 19783)
    assert row["line_loaded_day"] - row["loaded_day"] == 1
    assert row["superseded_day"] is None
