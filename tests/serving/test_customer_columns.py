"""The list of customers in memory gives what the same query gives in SQL."""

import math

import duckdb
import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from churn.serving.dashboard import customer_columns
from churn.serving.dashboard.customer_columns import NUMBERS, TEXTS, CustomerColumns
from churn.serving.dashboard.customers import (
    CHOICES,
    PAGE_ROWS,
    SORTS,
    CustomerQuery,
    filtered,
)

letters = st.sampled_from(["a", "b", "0", "00", "ä", "日本", "🙂", "é", "A", "%", "_", "'", " "])
ids = st.lists(letters, min_size=1, max_size=6).map("".join)
words = st.sampled_from([None, "", "b", "a", "ä", "Z"])
numbers = st.sampled_from([None, math.nan, -1.5, 0.0, -0.0, 1.0, 1.0, 2.5, math.inf])
whole = st.integers(0, 2).map(float)


@st.composite
def customers(draw):
    """A table of customers by position, as it is published: no value at risk is NaN."""
    names = draw(st.lists(ids, max_size=30, unique=True))
    size = {"min_size": len(names), "max_size": len(names)}
    at_stake = draw(st.lists(st.none() | whole, **size))
    columns = {
        "position": pa.array(range(len(names)), pa.int64()),
        "customer_id": pa.array(names, pa.string()),
        "at_risk": pa.array(draw(st.lists(st.sampled_from([None, True, False]), **size)), "bool"),
    }
    columns |= {name: pa.array(draw(st.lists(words, **size)), pa.string()) for name in TEXTS}
    for name in NUMBERS:
        values = at_stake if name == "value_at_risk" else draw(st.lists(numbers, **size))
        columns[name] = pa.array(values, pa.float64(), from_pandas=False)
    return pa.table(columns)


queries = st.builds(
    CustomerQuery,
    chosen=st.dictionaries(st.sampled_from(list(CHOICES)), st.sampled_from("abäZ"), max_size=2),
    search=st.just("") | st.lists(letters, max_size=3).map("".join),
    at_risk=st.booleans(),
    least=st.none() | whole,
    most=st.none() | whole,
    sort=st.sampled_from(list(SORTS)),
    descending=st.booleans(),
)


def in_sql(table, query):
    condition, values = query.condition()
    with duckdb.connect() as connection:
        connection.register("customers", table)
        sql = f"SELECT position FROM customers WHERE {condition} ORDER BY {query.ordering()}"
        return [place for (place,) in connection.execute(sql, values).fetchall()]


def in_memory(columns, query, *, start=0, count=10_000):
    mask = filtered(columns, query) if query.is_filtered else None
    return columns.page(
        SORTS[query.sort], mask, descending=query.descending, start=start, count=count
    ).tolist()


@given(customers(), queries, st.booleans())
def test_any_filter_and_sort_gives_what_sql_gives(table, query, has_few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(customer_columns, "FEW", 1_000 if has_few else 0)
        patch.setattr(customer_columns, "BLOCK", 7)
        columns = CustomerColumns.of(table)
        expected = in_sql(table, query)
        assert in_memory(columns, query) == expected
        pages = [in_memory(columns, query, start=n, count=4) for n in range(0, len(table) + 4, 4)]
        assert [place for page in pages for place in page] == expected


@given(customers(), queries)
def test_a_direction_is_the_same_whichever_was_found_first(table, query):
    columns, others = CustomerColumns.of(table), CustomerColumns.of(table)
    name = SORTS[query.sort]
    found = {down: columns.order(name, descending=down).tolist() for down in (False, True)}
    assert found == {down: others.order(name, descending=down).tolist() for down in (True, False)}


@given(st.lists(ids, unique=True, min_size=1, max_size=40), st.data())
def test_a_search_finds_every_id_with_the_text_and_no_other(names, data):
    text = data.draw(st.one_of(ids, st.sampled_from(names).map(lambda name: name[1:])))
    expected = [text in name for name in names]
    if text:
        for few in (0, 1_000):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(customer_columns, "FEW", few)
                found = CustomerColumns.of(
                    pa.table(
                        {"customer_id": names, "at_risk": [True] * len(names)}
                        | {name: pa.nulls(len(names), pa.string()) for name in TEXTS}
                        | {name: pa.nulls(len(names), pa.float64()) for name in NUMBERS}
                    )
                ).ids.containing(text)
                assert found.tolist() == expected


@given(customers(), st.data())
def test_rows_are_those_at_the_positions(table, data):
    columns = CustomerColumns.of(table)
    most = max(0, len(table) - 1)
    places = data.draw(st.lists(st.integers(0, most), max_size=PAGE_ROWS if len(table) else 0))
    names = ["customer_id", "segment", "monetary"]
    found = columns.rows(np.array(places, np.int32), names)
    expected = table.select(names).take(pa.array(places, pa.int64())).to_pylist()
    for row in (*found, *expected):
        row["monetary"] = None if row["monetary"] in (None,) else str(row["monetary"])
    assert [{**row, "monetary": row["monetary"] or "nan"} for row in expected] == found
