"""Co-purchase weights equal ridge regressions; popularity is compared with plain Python."""

import numpy as np
import pytest
from basket_rows import PRODUCTS, ROWS, purchases_of
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.recommendations.copurchase import PRIOR_BUYERS, RIDGE, CoPurchase, Shop, weights_of
from churn.recommendations.purchases import Moment, Past


def past_of(bought: np.ndarray, last_age: int | np.ndarray = 5) -> Past:
    """A past in which every pair was bought once."""
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
        expected = np.linalg.solve(normal, together[others, product])
        assert weights[others, product] == pytest.approx(expected, abs=1e-5)
        assert weights[product, product] == 0


@given(shops())
def test_a_score_sums_the_weights_of_the_customers_products(bought):
    past, tie = past_of(bought), np.arange(bought.shape[1])
    together = CoPurchase.fit(past, tie, least_buyers=1)
    for customers, scores in together.scores(past):
        for customer, line in zip(customers, scores, strict=True):
            own = together.place[np.flatnonzero(bought[customer])]
            expected = 0.5 * together.weights[own].sum(axis=0)  # the square root of .25
            assert line == pytest.approx(expected, abs=1e-5)


def test_products_with_few_buyers_or_old_purchases_are_ignored():
    bought = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    age = np.where(np.nonzero(bought)[1] == 1, 400, 5)
    together = CoPurchase.fit(past_of(bought, age), np.arange(3), least_buyers=2)
    assert together.products.tolist() == [0]
    assert together.place.tolist() == [0, -1, -1]


def test_without_purchases_there_are_no_weights():
    empty = past_of(np.zeros((0, 0)))
    together = CoPurchase.fit(empty, np.arange(0), least_buyers=1)
    assert together.products.size == 0
    assert list(together.scores(empty)) == []


@given(ROWS)
def test_rates_and_gaps_are_shrunk_towards_those_of_all_products(rows):
    past = purchases_of(rows).before(Moment(20, 20.0), half_life_days=10.0)
    shop = Shop.at(past, np.arange(3), horizon_days=14, within_days=28, least_buyers=1)
    own = [np.flatnonzero(past.product == product) for product in range(len(PRODUCTS))]
    repeats = [sum(past.times[pairs] > 1) for pairs in own]
    gaps = [sum(past.times[pairs] - 1) for pairs in own]
    spans = [sum(past.first_age[pairs] - past.last_age[pairs]) for pairs in own]
    overall_rate = sum(repeats) / max(1, past.product.size)
    overall_gap = sum(spans) / max(1, sum(gaps))
    for product, pairs in enumerate(own):
        rate = (repeats[product] + PRIOR_BUYERS * overall_rate) / (pairs.size + PRIOR_BUYERS)
        gap = (spans[product] + PRIOR_BUYERS * overall_gap) / (gaps[product] + PRIOR_BUYERS)
        assert shop.repeat_rate[product] == pytest.approx(rate)
        assert shop.gap_days[product] == pytest.approx(gap)
        assert shop.buyers[product] == sum(past.last_age[pairs] <= 14)
        assert shop.on_sale[product] == any(past.last_age[pairs] <= 28)
