"""Ids are compared across tables: how many match is counted, and too few stop everything."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from churn.data.tables import Tables
from churn.errors import DataError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
DAY = "2024-01-01"


def orders(names: list[str]) -> pa.Table:
    rows = [{"customer_id": name, "ordered_at": DAY, "amount": 1.0} for name in names]
    return pa.Table.from_pylist(rows)


def people(names: list[str]) -> pa.Table:
    return pa.Table.from_pylist([{"customer_id": name, "region": "north"} for name in names])


def opened(ours: list[str], theirs: list[str], **more: object) -> Tables:
    return Tables.from_frames(orders(ours), customers=people(theirs), clock=CLOCK, **more)


def numbers(first: int, last: int, end: str = "") -> list[str]:
    return [f"{number}{end}" for number in range(first, last)]


def test_how_many_ids_of_each_match_is_counted():
    match = opened(numbers(10, 20), numbers(12, 30)).audits["customers"].ids
    assert (match.ids, match.known, match.ids_of_orders, match.found) == (18, 8, 10, 8)
    assert match.share == 0.8


def test_a_list_of_many_prospects_stops_nobody():
    audit = opened(numbers(10, 20), numbers(10, 2000)).audits["customers"]
    assert audit.warnings == ()


def test_ids_in_another_notation_stop_with_the_rule_that_would_match():
    with pytest.raises(DataError, match=r'got 0 of its 7 .*customer_id = "number": 7 of 7 would'):
        opened(numbers(11, 18, ".0"), numbers(11, 18))
    audit = opened(numbers(11, 18, ".0"), numbers(11, 18), customer_id="number").audits
    assert audit["customers"].ids.known == 7


def test_addresses_in_another_case_stop_with_the_rule_that_would_match():
    names = [f"Ann{n}@Shop.example" for n in range(6)]
    with pytest.raises(DataError, match=r'customer_id = "email": 6 of 6 would match'):
        opened(names, [f" {name.lower()}" for name in names])


def test_ids_of_another_kind_stop_with_the_counts():
    with pytest.raises(DataError, match=r"got 0 of its 6 .*mapped to the same kind of id"):
        opened(numbers(10, 20), [f"ann{n}@shop.example" for n in range(6)])


def test_a_handful_of_strangers_stops_nobody_and_is_told():
    (warning,) = opened(numbers(10, 20), ["x", "y", "z"]).audits["customers"].warnings
    assert (
        warning
        == "ids match poorly: only 0 of its 3 found in the orders, 0 of the orders' 10 found in it"
    )


def test_visitors_who_are_no_customers_stop_nobody():
    rows = [
        {"customer_id": name, "occurred_at": DAY, "event_type": "visit"}
        for name in [*numbers(10, 12), *[f"v{n}" for n in range(30)]]
    ]
    events = pa.Table.from_pylist(rows)
    tables = Tables.from_frames(orders(numbers(10, 20)), events=events, clock=CLOCK)
    assert "only 2 of its 32" in tables.audits["events"].warnings[0]


def test_a_few_ids_that_another_rule_would_match_are_told():
    names = numbers(10, 30)
    audit = opened(names, [*numbers(10, 28), "028", "29.0"]).audits["customers"]
    assert audit.warnings == (
        '2 more customer_ids would match the orders with customer_id = "number"',
    )


def test_customers_who_are_two_for_zeros_or_case_alone_are_told():
    warnings = (
        Tables.from_frames(orders(["0012", "12", "13", "Ann@x.de", "ann@x.de"]), clock=CLOCK)
        .audits["orders"]
        .warnings
    )
    assert warnings == (
        "1 customers have ids that differ only in leading zeros, .0 or spaces; customer_id = "
        '"number" merges them',
        "1 customers have ids that differ only in case or spaces; customer_id = "
        '"email" merges them',
    )


def test_one_customer_with_a_share_that_no_customer_has_is_told():
    (warning,) = (
        Tables.from_frames(orders([*["info@shop.example"] * 8, *numbers(10, 26)]), clock=CLOCK)
        .audits["orders"]
        .warnings
    )
    assert "one customer has 8 of 24 orders (33%)" in warning
    assert "info@" not in warning


def test_lines_of_other_orders_stop_with_the_counts():
    ours = [
        {"customer_id": "a", "order_id": f"1{n}", "ordered_at": DAY, "amount": 1.0}
        for n in range(8)
    ]
    lines = [
        {"order_id": f"0{row['order_id']}", "product_id": "p", "quantity": 1.0, "amount": 1.0}
        for row in ours
    ]
    frames = {"order_lines": pa.Table.from_pylist(lines), "clock": CLOCK}
    with pytest.raises(DataError, match=r'order_id = "number": 8 of 8 would match'):
        Tables.from_frames(pa.Table.from_pylist(ours), **frames)
