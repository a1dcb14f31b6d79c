"""The digest of rows tells any change of them, and nothing else."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.storage.postgres.layout import digest_of_rows

SCHEMA = pa.schema(
    [("id", pa.string()), ("worth", pa.float64()), ("why", pa.list_(pa.string()))],
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(max_size=5),
            "worth": st.none() | st.floats(allow_nan=False),
            "why": st.none() | st.lists(st.text(max_size=3), max_size=2),
        }
    ),
    unique_by=lambda row: row["id"],
    max_size=6,
)


def digest(listed):
    return digest_of_rows(pa.Table.from_pylist(listed, SCHEMA), ["id"])


@given(listed=rows, order=st.randoms())
def test_the_order_of_rows_does_not_matter(listed, order):
    assert digest(order.sample(listed, len(listed))) == digest(listed)


@given(listed=rows.filter(len), more=st.floats(0.5, 2))
def test_another_number_or_one_row_less_is_another_digest(listed, more):
    first = {**listed[0], "worth": (listed[0]["worth"] or 0) % 1000 + more}
    assert digest([first, *listed[1:]]) != digest([{**first, "worth": None}, *listed[1:]])
    assert digest(listed[1:]) != digest(listed)


@pytest.mark.parametrize(
    ("one", "other"), [(None, []), ([""], None), (["a b"], ["a", "b"]), (["a"], ["a", ""])]
)
def test_lists_that_differ_are_told_apart(one, other):
    both = [digest([{"id": "x", "worth": 1.0, "why": why}]) for why in (one, other)]
    assert both[0] != both[1]


def test_many_parts_are_as_one():
    table = pa.Table.from_pylist([{"id": str(n), "worth": n / 7} for n in range(1_000)], SCHEMA)
    parts = pa.concat_tables([table.slice(start, 10) for start in range(0, 1_000, 10)])
    assert digest_of_rows(parts, ["id"]) == digest_of_rows(table, ["id"])
