"""Orders of a day add up to the same, bit for bit, in whatever order an engine returns them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from churn.data.history.days import day_sums

CENTS = st.integers(-100_000, 1_000_000).map(lambda cents: cents / 100)
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), CENTS, CENTS), max_size=30)


def sums(rows):
    customers, days, amounts, discounts = (np.array(one) for one in zip(*rows, strict=True))
    found = day_sums(
        {
            "customer": customers.astype(np.int32),
            "local_day": days.astype(np.int32),
            "amount": amounts.astype(float),
            "discount": discounts.astype(float),
        }
    )
    return {name: values.tobytes() for name, values in found.items()}


@given(ROWS.filter(bool), st.randoms(use_true_random=False))
def test_the_sums_of_a_day_do_not_depend_on_the_order_of_its_rows(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    by_day = [sorted(some, key=lambda row: row[:2]) for some in (rows, shuffled)]
    assert sums(by_day[0]) == sums(by_day[1])


def test_the_sums_of_a_day_are_those_of_its_rows():
    rows = [
        (0, 0, 0.5, 0.0),
        (0, 0, 0.25, 0.0),
        (0, 0, 4.0, 1.0),
        (0, 1, -5.0, 0.0),
        (1, 0, 2.0, 0),
    ]
    columns = [np.array(one, dtype=float) for one in zip(*rows, strict=True)]
    named = dict(zip(("customer", "local_day", "amount", "discount"), columns, strict=True))
    found = day_sums({**named, "customer": columns[0].astype(np.int32)})
    assert found["spend"].tolist() == [4.75, 0.0, 2.0]
    assert found["returned"].tolist() == [0.0, 5.0, 0.0]
    assert found["orders"].tolist() == [3, 0, 1]
