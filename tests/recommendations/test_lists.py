"""Lists of best sellers and learnt lists, compared with plain Python for any purchases."""

import numpy as np
from basket_rows import PRODUCTS, ROWS, purchases_of
from hypothesis import given
from hypothesis import strategies as st

from churn.recommendations.candidates import LogisticModel, Ranker, candidates
from churn.recommendations.copurchase import Shop
from churn.recommendations.lists import learnt_lists, own_best, own_then_shop, shop_best
from churn.recommendations.purchases import Moment, Past

TOP = 2
TIE = np.array([2, 0, 1])


def shop_of(rows: list[tuple]) -> tuple[Past, Shop]:
    past = purchases_of(rows).before(Moment(20, 20.0), half_life_days=10.0)
    shop = Shop.at(past, TIE, horizon_days=14, within_days=28, least_buyers=1)
    return past, shop


def ranker(shop: Shop) -> Ranker:
    """Arbitrary coefficients: the properties of lists do not depend on them."""
    own, new = (LogisticModel(np.zeros(n), np.ones(n), np.linspace(-1, 1, n), -1.0) for n in (7, 3))
    return Ranker(own, new)


def by_customer(lists) -> dict[int, list[int]]:
    products: dict[int, list[int]] = {}
    for customer, product in zip(lists.customer, lists.product, strict=True):
        products.setdefault(int(customer), []).append(int(product))
    return products


def returned(past: Past) -> dict[int, set[int]]:
    """Returned products by customer."""
    products: dict[int, set[int]] = {}
    for customer, product in zip(past.gone_customer, past.gone_product, strict=True):
        products.setdefault(int(customer), set()).add(int(product))
    return products


def bought(past: Past) -> dict[int, dict[int, tuple[int, int]]]:
    """Number of purchases and age of the last one, by customer and product."""
    products: dict[int, dict[int, tuple[int, int]]] = {}
    rows = zip(past.customer, past.product, past.times, past.last_age, strict=True)
    for customer, product, times, age in rows:
        products.setdefault(int(customer), {})[int(product)] = (int(times), int(age))
    return products


@given(ROWS)
def test_own_best_sellers_are_ordered_by_purchases_then_recency_and_on_sale(rows):
    past, shop = shop_of(rows)
    expected = {}
    for customer, products in bought(past).items():
        sold = [product for product in products if shop.on_sale[product]]
        order = sorted(sold, key=lambda p: (-products[p][0], products[p][1], TIE[p]))
        if order:
            expected[customer] = order[:TOP]
    assert by_customer(own_best(past, shop, top=TOP)) == expected


@given(ROWS)
def test_the_shops_best_sellers_are_ordered_by_buyers_of_the_last_horizon(rows):
    past, shop = shop_of(rows)
    everyone = bought(past)
    buyers = {
        product: sum(own.get(product, (0, 99))[1] <= 14 for own in everyone.values())
        for product in range(len(PRODUCTS))
    }
    best = sorted((p for p in buyers if buyers[p]), key=lambda p: (-buyers[p], TIE[p]))
    expected = {c: [p for p in best if p not in own][:TOP] for c, own in everyone.items()}
    unbought = by_customer(shop_best(past, shop, top=TOP))
    assert unbought == {customer: products for customer, products in expected.items() if products}
    any_product = by_customer(shop_best(past, shop, top=TOP, unbought=False))
    assert any_product == (dict.fromkeys(everyone, best[:TOP]) if best else {})


@given(ROWS)
def test_own_best_sellers_come_before_the_shops(rows):
    past, shop = shop_of(rows)
    own = by_customer(own_best(past, shop, top=TOP))
    new = by_customer(shop_best(past, shop, top=TOP))
    expected = {c: (own.get(c, []) + new.get(c, []))[:TOP] for c in {*own, *new}}
    assert by_customer(own_then_shop(past, shop, top=TOP)) == expected


@given(ROWS, st.sampled_from(["all", "repeat", "new"]))
def test_lists_have_ranks_without_gaps_and_distinct_products_on_sale_of_the_kind(rows, kind):
    past, shop = shop_of(rows)
    learnt = learnt_lists(*candidates(past, shop), ranker(shop), shop, kind=kind, top=TOP)
    for lists in (learnt, own_then_shop(past, shop, top=TOP)):
        ranks = zip(lists.customer.tolist(), lists.rank.tolist(), strict=True)
        expected = [
            (customer, rank)
            for customer, products in sorted(by_customer(lists).items())
            for rank in range(1, len(products) + 1)
        ]
        assert list(ranks) == expected
        assert all(len(set(own)) == len(own) <= TOP for own in by_customer(lists).values())
        assert shop.on_sale[lists.product].all()
        own = bought(past)
        is_new = [p not in own[c] for c, p in zip(lists.customer, lists.product, strict=True)]
        assert lists.is_new.tolist() == is_new
        for customer, products in by_customer(lists).items():
            assert not returned(past).get(customer, set()) & set(products)
    if kind != "all":
        assert set(learnt.is_new.tolist()) <= {kind == "new"}


@given(ROWS)
def test_the_list_of_a_customer_does_not_depend_on_the_batch(rows):
    past, shop = shop_of(rows)
    batch = learnt_lists(*candidates(past, shop), ranker(shop), shop, kind="all", top=TOP)
    for customer in range(past.visits.size):
        alone = past.of(np.arange(past.visits.size) == customer)
        single = learnt_lists(*candidates(alone, shop), ranker(shop), shop, kind="all", top=TOP)
        assert single.product.tolist() == batch.product[batch.customer == customer].tolist()
