"""Blocks of customers: the same however the rows arrive, each with all rows of its customers."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.history.blocks import blocks_of
from churn.data.history.columns import (
    arrow_mask,
    arrow_numbers,
    changes,
    numbers,
    text_codes,
    whole_numbers,
)
from churn.data.history.days import Days
from churn.data.history.past import customer_blocks

LAYOUT = {"orders": ("amount", "channel"), "events": ("kind", "value")}
SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "grain": pa.int32(),
        "local_day": pa.int32(),
        "channel": pa.string(),
        "kind": pa.int32(),
        "amount": pa.float64(),
        "value": pa.float64(),
    }
)

orders = st.tuples(
    st.sampled_from(["ann", "bob", "éva", "zoe"]),
    st.just(0),
    st.integers(-3, 6),
    st.sampled_from([None, "web", "shop"]),
    st.none(),
    st.integers(-5, 9).map(float),
    st.none(),
)
events = st.tuples(
    st.sampled_from(["ann", "bob", "yan"]),
    st.just(2),
    st.integers(-3, 6),
    st.none(),
    st.integers(0, 3),
    st.none(),
    st.sampled_from([None, 1.5]),
)
several = st.lists(st.one_of(orders, events), max_size=25)


def table_of(rows):
    ordered = sorted(rows, key=lambda row: (row[0].encode(), row[1], row[2]))
    return pa.Table.from_pylist(
        [dict(zip(SCHEMA.names, row, strict=True)) for row in ordered], SCHEMA
    )


def content(blocks):
    """The rows of each customer by grain, texts in place of codes."""
    found = {}
    for block in blocks:
        for place, name in enumerate(block.customer_ids.to_pylist()):
            assert name not in found, "a customer is in two blocks"
            found[name] = {grain: rows_of(block, grain, place) for grain in block.grains}
    return found


def rows_of(block, grain, place):
    columns = dict(block.grains[grain])
    here = columns.pop("customer") == place
    rows = {name: values[here].tolist() for name, values in columns.items()}
    if (grain, "channel") in block.texts:
        names = [*block.texts[grain, "channel"].to_pylist(), None]
        rows["channel"] = [names[code] for code in rows["channel"]]
    return repr(rows)


@given(several, st.integers(1, 7))
def test_blocks_do_not_depend_on_the_size_of_the_batches(rows, size):
    table = table_of(rows)
    one, many = (
        content(blocks_of(LAYOUT, table.to_batches(max_chunksize=chunk))) for chunk in (1_000, size)
    )
    assert one == many
    assert set(one) == {row[0] for row in rows}


@given(several)
def test_orders_of_one_day_are_one_row_and_gaps_run_between_purchase_days(rows):
    blocks = list(blocks_of(LAYOUT, table_of(rows).to_batches()))
    seen = {}
    for block in blocks:
        days = Days(block.grains["orders"], len(block), cutoff=10)
        names = block.customer_ids.take(pa.array(days.customer)).to_pylist()
        for place, name in enumerate(names):
            day = int(days.local_day[place])
            assert (name, day) not in seen
            amounts = [row[5] for row in rows if row[:3] == (name, 0, day)]
            paid = [amount for amount in amounts if amount > 0]
            assert days.orders[place] == len(paid)
            assert days.net[place] == sum(amounts)
            earlier = [when for (who, when), bought in seen.items() if who == name and bought]
            seen[name, day] = bool(paid)
            gap = day - max(earlier) if paid and earlier else None
            assert days.gap_days[place] == gap if gap else np.isnan(days.gap_days[place])
    assert set(seen) == {(row[0], row[2]) for row in rows if row[1] == 0}


@given(several, st.sets(st.sampled_from(["ann", "bob", "éva", "yan", "zoe"])))
def test_some_customers_of_a_block_keep_their_rows(rows, wanted):
    if not rows:
        return
    (block,) = blocks_of(LAYOUT, table_of(rows).to_batches())
    chosen = np.array([name in wanted for name in block.customer_ids.to_pylist()])
    whole = content([block])
    assert content([block.only(chosen)]) == {n: r for n, r in whole.items() if n in wanted}


def test_columns_go_to_numpy_and_back():
    assert numbers(pa.chunked_array([[1.5, None], [2.0]])).tolist() == pytest.approx(
        [1.5, np.nan, 2.0], nan_ok=True
    )
    assert numbers(pa.chunked_array([[1, 2]]).slice(1)).tolist() == [2.0]
    assert whole_numbers(pa.chunked_array([pa.array([3, 4], pa.int32())])).tolist() == [3, 4]
    codes, names = text_codes(pa.chunked_array([["b", None, "a"], ["b"]]))
    assert (codes.tolist(), names.to_pylist()) == ([1, -1, 0, 1], ["a", "b"])
    empty = pa.chunked_array([], type=pa.string())
    assert text_codes(empty)[0].tolist() == changes(empty).tolist() == []
    assert arrow_mask(np.array([True, False, True])).to_pylist() == [True, False, True]
    for values in ([1, 2], [1.0, np.nan]):
        back = arrow_numbers(np.array(values)).to_pylist()
        assert back == [None if np.isnan(value) else value for value in values]


def test_rows_are_sorted_once_for_all_requests_that_they_answer(open_shop, as_table):
    at = datetime(2024, 3, 1, tzinfo=UTC)
    visit = {"customer_id": "a", "occurred_at": at.isoformat(), "event_type": "visit"}
    order = {"customer_id": "a", "ordered_at": at - timedelta(days=3), "amount": 1.0}
    tables = open_shop([order], events=as_table([visit]))
    everything = customer_blocks(tables, ("orders", "events"))
    assert customer_blocks(tables) is everything
    assert customer_blocks(tables, ("events",)) is everything
