"""Who is looked after: exactly so many, the highest first, ties by hash."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.ids import id_hashes
from churn.errors import ConfigError
from churn.modeling.capacity import at_risk_count, top_positions


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True) | st.integers(0, 20_000))
def test_a_capacity_never_exceeds_the_eligible(eligible, capacity):
    count = at_risk_count(capacity, eligible)
    assert 0 <= count <= eligible
    if isinstance(capacity, int):
        assert count == min(capacity, eligible)
    else:
        assert abs(count - capacity * eligible) <= 0.5


@pytest.mark.parametrize("capacity", [-1, -0.1, 1.0, 1.5, True])
def test_a_capacity_that_is_neither_share_nor_number_is_refused(capacity):
    with pytest.raises(ConfigError, match=r"share in \[0, 1\) or a whole number, got .*Pass e.g."):
        at_risk_count(capacity, 100)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), max_size=30), st.integers(0, 40))
def test_the_top_is_the_highest_and_does_not_depend_on_the_order_of_rows(scores, count):
    names = pa.array([f"c{number}" for number in range(len(scores))], pa.string())
    score = np.array(scores, dtype=float)
    top = top_positions(names, score, count)
    assert len(top) == min(count, len(scores))
    rest = np.delete(score, top)
    assert not len(rest) or not len(top) or rest.max() <= score[top].min()
    backwards = top_positions(names[::-1], score[::-1], count)
    assert set(names[::-1].take(backwards).to_pylist()) == set(names.take(top).to_pylist())


def test_ties_at_the_bar_are_decided_by_the_smallest_hash():
    names = pa.array([f"c{number}" for number in range(50)])
    score = np.where(np.arange(50) < 3, 0.9, np.where(np.arange(50) < 40, 0.5, 0.1))
    top = top_positions(names, score, 10)
    hashes = id_hashes(names.to_pylist())
    tied = sorted(range(3, 40), key=lambda place: hashes[place])
    assert sorted(top) == sorted([0, 1, 2, *tied[:7]])


def test_nobody_is_listed_at_a_capacity_of_none():
    assert top_positions(pa.array(["a"]), np.array([0.5]), 0).size == 0
