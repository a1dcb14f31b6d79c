"""What rows add up to for each customer, against loops over plain Python values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.history.segments import Pairs, Segments

CUSTOMERS = 5

rows = st.lists(
    st.tuples(
        st.integers(0, CUSTOMERS - 1),
        st.one_of(st.integers(-9, 9).map(float), st.just(math.nan)),
        st.booleans(),
        st.integers(-1, 3),
    ),
    max_size=30,
).map(lambda some: sorted(some, key=lambda row: row[0]))


def columns(some):
    customer, values, where, codes = ([row[place] for row in some] for place in range(4))
    return (
        Segments(np.array(customer, dtype=np.int64), CUSTOMERS),
        np.array(values, dtype=np.float64),
        np.array(where, dtype=bool),
        np.array(codes, dtype=np.int64),
    )


def assert_equal(found, expected):
    assert [None if math.isnan(value) else value for value in found.tolist()] == pytest.approx(
        expected
    )


def own(some, customer):
    """The chosen values of a customer that are numbers, in order."""
    return [v for c, v, where, _ in some if c == customer and where and not math.isnan(v)]


@given(rows)
def test_every_reduction_equals_a_loop(some):
    segments, values, where, _ = columns(some)
    chosen = where & ~np.isnan(values)
    each = [own(some, customer) for customer in range(CUSTOMERS)]
    assert_equal(segments.total(values, chosen), [sum(v) for v in each])
    assert_equal(segments.count(chosen), [len(v) for v in each])
    assert_equal(segments.least(values, chosen), [min(v, default=None) for v in each])
    assert_equal(segments.most(values, chosen), [max(v, default=None) for v in each])
    assert_equal(segments.mean(values, chosen), [sum(v) / len(v) if v else None for v in each])
    assert_equal(segments.first(values, chosen), [v[0] if v else None for v in each])
    assert_equal(segments.last(values, chosen), [v[-1] if v else None for v in each])


@given(rows)
def test_without_a_condition_every_row_counts_and_missing_values_are_ignored_by_extremes(some):
    segments, values, _, _ = columns(some)
    everything = [(c, v, True, k) for c, v, _, k in some]
    each = [own(everything, customer) for customer in range(CUSTOMERS)]
    assert_equal(segments.least(values), [min(v, default=None) for v in each])
    assert_equal(segments.most(values), [max(v, default=None) for v in each])
    counts = [sum(c == customer for c, *_ in some) for customer in range(CUSTOMERS)]
    assert_equal(segments.count(), counts)
    assert segments.has_rows.tolist() == [count > 0 for count in counts]


@given(rows)
def test_pairs_are_the_distinct_codes_of_each_customer(some):
    """A pair's rows keep their order; rows that are not chosen belong to no pair."""
    segments, _, where, codes = columns(some)
    pairs = Pairs(segments, codes, where)
    place = np.arange(len(some), dtype=np.float64)
    expected = sorted({(c, k) for c, _, chosen, k in some if chosen})
    of_pair = [
        [n for n, (c, _, chosen, k) in enumerate(some) if chosen and (c, k) == pair]
        for pair in expected
    ]
    assert len(pairs) == len(expected)
    assert_equal(pairs.totals(place), [float(sum(own)) for own in of_pair])
    assert pairs.firsts(place).tolist() == [own[0] for own in of_pair]
    assert pairs.lasts(place).tolist() == [own[-1] for own in of_pair]
    assert pairs.least_of(place).tolist() == [min(own) for own in of_pair]
    counts = [sum(c == customer for c, _ in expected) for customer in range(CUSTOMERS)]
    assert_equal(pairs.count(), counts)


@given(rows)
def test_a_pairs_value_comes_back_to_its_rows(some):
    segments, _, where, codes = columns(some)
    pairs = Pairs(segments, codes, where)
    place = np.arange(len(some), dtype=np.float64)
    back = pairs.on_rows(pairs.firsts(place))
    for n, (customer, _, chosen, code) in enumerate(some):
        same = [m for m, (c, _, w, k) in enumerate(some) if w and (c, k) == (customer, code)]
        assert back[n] == same[0] if chosen else math.isnan(back[n])


def test_distinct_values_of_a_pair_are_counted_where_equal_ones_stand_together():
    segments = Segments(np.array([0, 0, 0, 1]), 2)
    pairs = Pairs(segments, np.array([7, 7, 7, 7]))
    assert pairs.distinct(np.array([3, 3, 5, 5])).tolist() == [2, 1]
