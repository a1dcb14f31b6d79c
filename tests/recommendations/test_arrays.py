"""What is done to arrays in several places."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from churn.recommendations.purchases import first_of_each, runs


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.1, 0.5, 0.9])), max_size=30))
def test_the_first_of_each_customer_are_those_of_a_sort_in_plain_python(rows):
    customer = np.array([row[0] for row in rows], dtype=np.int64)
    value = np.array([row[1] for row in rows], dtype=np.float64)
    tie = np.arange(len(rows))[::-1].copy()
    found, rank = first_of_each(customer, value, tie, top=3)
    wanted = []
    for one in sorted(set(customer.tolist())):
        own = [k for k in range(len(rows)) if customer[k] == one]
        best = sorted(own, key=lambda k: (-value[k], tie[k]))[:3]
        wanted += [(k, place) for place, k in enumerate(best, start=1)]
    assert list(zip(found.tolist(), rank.tolist(), strict=True)) == wanted


@given(st.lists(st.integers(-3, 3)).map(sorted))
def test_runs_put_together_again_are_the_values(values):
    ordered = np.array(values, dtype=np.int64)
    begins, sizes = runs(ordered)
    assert np.repeat(ordered[begins], sizes).tolist() == values
    assert (np.diff(ordered[begins]) > 0).all()
