"""What goes together: the closed form against the regressions that it stands for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.recommendations.copurchase import RIDGE, CoPurchase, weights_of
from churn.recommendations.purchases import Past


def past_of(bought: np.ndarray, last_age: int | np.ndarray = 5) -> Past:
    """Everyone who bought something, once each."""
    customer, product = (axis.astype(np.int64) for axis in np.nonzero(bought))
    age = np.broadcast_to(last_age, customer.shape).astype(np.int64)
    return Past(
        customer=customer,
        product=product,
        times=np.ones_like(customer),
        first_age=age,
        last_age=age,
        decayed=np.full(customer.size, 0.25),
        visits=np.ones(len(bought)),
        gone_customer=np.zeros(0, dtype=np.int64),
        gone_product=np.zeros(0, dtype=np.int64),
    )


def shops(most_products: int = 6):
    sizes = st.tuples(st.integers(2, 12), st.integers(2, most_products), st.integers(0, 99))
    return sizes.map(lambda s: np.random.default_rng(s[2]).random((s[0], s[1])) < 0.4)


@given(shops())
@settings(max_examples=50)
def test_each_column_is_the_ridge_regression_of_a_product_on_all_others(bought):
    x = bought.astype(float)
    together = x.T @ x
    if not np.trace(together):
        return
    weights = weights_of(together)
    ridge = RIDGE * np.trace(together) / len(together)
    for product in range(x.shape[1]):
        others = np.delete(np.arange(x.shape[1]), product)
        normal = together[np.ix_(others, others)] + ridge * np.eye(others.size)
        wanted = np.linalg.solve(normal, together[others, product])
        assert weights[others, product] == pytest.approx(wanted, abs=1e-5)
        assert weights[product, product] == 0


@given(shops())
def test_a_score_sums_what_each_product_of_the_customer_adds(bought):
    past, tie = past_of(bought), np.arange(bought.shape[1])
    together = CoPurchase.fit(past, tie, least_buyers=1)
    for customers, scores in together.scores(past):
        for customer, line in zip(customers, scores, strict=True):
            has = together.place[np.flatnonzero(bought[customer])]
            wanted = 0.5 * together.weights[has].sum(axis=0)  # the root of a quarter
            assert line == pytest.approx(wanted, abs=1e-5)


def test_products_of_few_buyers_and_of_long_ago_are_not_looked_at():
    bought = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    age = np.where(np.nonzero(bought)[1] == 1, 400, 5)
    together = CoPurchase.fit(past_of(bought, age), np.arange(3), least_buyers=2)
    assert together.products.tolist() == [0]
    assert together.place.tolist() == [0, -1, -1]


def test_a_shop_without_purchases_has_nothing_that_goes_together():
    nothing = past_of(np.zeros((0, 0)))
    together = CoPurchase.fit(nothing, np.arange(0), least_buyers=1)
    assert together.products.size == 0
    assert list(together.scores(nothing)) == []
