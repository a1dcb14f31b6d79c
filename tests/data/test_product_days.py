"""Who bought what on which day, and from when on that was known."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.data.product_days import product_days, product_facts
from churn.data.tables import Tables
from churn.errors import DataError

CLOCK = datetime(2025, 1, 1, tzinfo=UTC)
AS_OF = date(2024, 3, 10)


def at(day: int, month: int = 3) -> datetime:
    return datetime(2024, month, day, 12, tzinfo=UTC)


def lines(*rows: dict) -> pa.Table:
    common = {"quantity": 1, "amount": 2.0, "category": "food"}
    return pa.Table.from_pylist([common | row for row in rows])


def tables(table: pa.Table) -> Tables:
    return Tables.from_frames(table, grain="line", clock=CLOCK)


def line(order: str, day: int, product: str | None, **more: object) -> dict:
    row = {"customer_id": "ann", "order_id": order, "ordered_at": at(day), "product_id": product}
    return row | more


def days_of(table: pa.Table, **options: object) -> list[tuple]:
    opened = tables(table)
    found = opened.engine.collect(product_days(opened.as_of(AS_OF), **options))
    return sorted((row["product"], row["local_day"]) for row in found.to_pylist())


def test_a_product_bought_twice_on_a_day_is_one_row():
    rows = lines(line("1", 1, "tea"), line("2", 1, "tea"), line("3", 2, "tea"))
    assert days_of(rows) == [("tea", 19783), ("tea", 19784)]


def test_returns_lines_without_a_product_and_the_days_from_as_of_on_are_left_out():
    rows = lines(
        line("1", 1, "tea"),
        line("2", 2, "tea", amount=-2.0),
        line("3", 3, None),
        line("4", 10, "tea"),
    )
    assert days_of(rows) == [("tea", 19783)]


def test_by_category_a_day_is_one_row_whatever_the_products():
    rows = lines(line("1", 1, "tea"), line("1", 1, "rice"), line("2", 1, "nails", category="tools"))
    assert days_of(rows, level="category") == [("food", 19783), ("tools", 19783)]


def test_a_late_line_is_known_from_its_arrival_on():
    rows = lines(
        line("1", 1, "tea", loaded_at=at(1)),
        line("1", 1, "rice", loaded_at=at(5)),
        line("2", 2, "nails", loaded_at=at(12)),
    )
    opened = tables(rows)
    found = opened.engine.collect(product_days(opened.as_of(AS_OF))).to_pylist()
    spans = {(row["product"], row["known_from"], min(row["known_until"], 1e6)) for row in found}
    assert ("rice", 19787.5, 1e6) in spans
    assert {span[0] for span in spans} == {"tea", "rice"}


def known_at(table: pa.Table, when: date, **options: object) -> set[tuple[str, int]]:
    """Product and day of March of the purchases that still hold at a date."""
    opened = tables(table)
    rows = opened.engine.collect(product_days(opened.as_of(when), **options)).to_pylist()
    instant = float((when - date(1970, 1, 1)).days)
    return {
        (row["product"], row["local_day"] - 19782)
        for row in rows
        if row.get("known_from", -1e9) < instant <= row.get("known_until", 1e9)
    }


def back(order: str, day: int, product: str, **more: object) -> dict:
    return line(order, day, product, **{"quantity": -1, "amount": -2.0} | more)


def test_what_was_sent_back_in_full_was_not_bought_from_the_day_after_on():
    rows = lines(line("1", 1, "kettle"), line("1", 1, "tea"), back("2", 4, "kettle"))
    assert known_at(rows, date(2024, 3, 4)) == {("kettle", 1), ("tea", 1)}
    assert known_at(rows, date(2024, 3, 5)) == {("tea", 1)}


def test_what_was_sent_back_in_part_is_still_owned():
    rows = lines(line("1", 1, "cup", quantity=4), back("2", 4, "cup", quantity=-3))
    assert known_at(rows, AS_OF) == {("cup", 1)}


def test_a_return_takes_back_what_was_bought_last():
    rows = lines(line("1", 1, "tea"), line("2", 5, "tea"), back("3", 6, "tea"), line("4", 8, "tea"))
    assert known_at(rows, AS_OF) == {("tea", 1), ("tea", 8)}


def test_an_exchange_on_one_day_leaves_one_purchase():
    rows = lines(line("1", 1, "kettle"), back("2", 4, "kettle"), line("3", 4, "kettle"))
    assert known_at(rows, AS_OF) == {("kettle", 1)}


def test_a_cancelled_basket_leaves_nothing():
    rows = lines(line("1", 3, "tea"), back("2", 3, "tea"))
    assert known_at(rows, AS_OF) == set()


def test_a_return_of_what_was_bought_before_the_data_takes_nothing_bought_later():
    rows = lines(back("1", 1, "tea"), line("2", 2, "tea"))
    assert known_at(rows, AS_OF) == {("tea", 2)}


def test_a_return_takes_nothing_from_another_customer():
    rows = lines(line("1", 1, "tea"), back("2", 2, "tea", customer_id="bob"))
    assert known_at(rows, AS_OF) == {("tea", 1)}


def test_without_quantities_amounts_are_netted():
    rows = lines(
        line("1", 1, "kettle", amount=39.9),
        back("2", 3, "kettle", amount=-5.0),
        line("3", 1, "cup", amount=8.5),
        back("4", 2, "cup", amount=-8.5),
    ).drop_columns(["quantity"])
    assert known_at(rows, AS_OF) == {("kettle", 1)}


def test_a_late_return_is_known_from_its_arrival_on():
    rows = lines(line("1", 1, "tea", loaded_at=at(1)), back("2", 2, "tea", loaded_at=at(6)))
    assert known_at(rows, date(2024, 3, 6)) == {("tea", 1)}
    assert known_at(rows, date(2024, 3, 7)) == set()


def test_a_category_is_bought_as_long_as_one_of_its_products_is_kept():
    rows = lines(line("1", 1, "tea"), line("1", 1, "rice"), back("2", 3, "tea"))
    assert known_at(rows, AS_OF, level="category") == {("food", 1)}
    alone = lines(line("1", 1, "tea"), back("2", 3, "tea"))
    assert known_at(alone, AS_OF, level="category") == set()


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["tea", "rice"]),
        st.integers(1, 9),
        st.integers(-3, 3).filter(bool),
    ),
    min_size=1,
    max_size=30,
)


def held(moves: list[tuple], customer: str, product: str) -> set[int]:
    """The purchase days of which something is left, by taking units off a pile."""
    mine = [(day, units) for who, what, day, units in moves if (who, what) == (customer, product)]
    pile: list[list[int]] = []
    for day in sorted({day for day, _ in mine}):
        net = sum(units for other, units in mine if other == day)
        if net > 0:
            pile.append([day, net])
        while net < 0 and pile:
            taken = min(-net, pile[-1][1])
            pile[-1][1] -= taken
            net += taken
            if not pile[-1][1]:
                pile.pop()
    return {day for day, _ in pile}


@settings(max_examples=25)
@given(MOVES, st.integers(2, 10))
def test_what_is_held_is_what_a_pile_holds_whatever_is_bought_and_sent_back(moves, day):
    rows = lines(
        *(
            line(str(number), when, what, customer_id=who, quantity=units, amount=2.0 * units)
            for number, (who, what, when, units) in enumerate(moves)
        )
    )
    opened = tables(rows)
    found = opened.engine.collect(product_days(opened.as_of(AS_OF))).to_pylist()
    instant = 19782.0 + day
    seen = {
        (row["customer_id"], row["product"], row["local_day"] - 19782)
        for row in found
        if row["local_day"] < instant and row.get("known_until", 1e9) >= instant
    }
    before = [move for move in moves if move[2] < day]
    pairs = {(who, what) for who, what, *_ in before}
    assert seen == {(who, what, when) for who, what in pairs for when in held(before, who, what)}


def test_facts_name_the_last_sale_the_category_and_the_name():
    rows = lines(
        line("1", 1, "tea", product_name="Tea, green"),
        line("2", 4, "tea", product_name="Tea"),
        line("3", 11, "tea", product_name="A later name"),
    )
    opened = tables(rows)
    (fact,) = opened.engine.collect(product_facts(opened.as_of(AS_OF))).to_pylist()
    assert fact == {"product": "tea", "last_day": 19786, "category": "food", "name": "Tea"}


def test_without_lines_that_name_products_the_way_to_connect_them_is_told(open_shop, tiny_shop):
    with pytest.raises(DataError, match=r"need lines of orders that have a product_id.*Connect"):
        product_days(open_shop(tiny_shop).as_of("2024-05-01"))
