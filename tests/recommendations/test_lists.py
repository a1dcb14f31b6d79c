"""Lists of best sellers and of candidates: against plain Python, whatever the baskets."""

import numpy as np
from basket_rows import PRODUCTS, ROWS, purchases_of
from hypothesis import given
from hypothesis import strategies as st

from churn.recommendations.candidates import Line, Ranker, candidates
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
    """Lines with any slopes: what lists must be does not depend on them."""
    own, new = (Line(np.zeros(n), np.ones(n), np.linspace(-1, 1, n), -1.0) for n in (7, 3))
    return Ranker(own, new)


def by_customer(lists) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for customer, product in zip(lists.customer, lists.product, strict=True):
        found.setdefault(int(customer), []).append(int(product))
    return found


def gone(past: Past) -> dict[int, set[int]]:
    """What was sent back, by customer."""
    found: dict[int, set[int]] = {}
    for customer, product in zip(past.gone_customer, past.gone_product, strict=True):
        found.setdefault(int(customer), set()).add(int(product))
    return found


def had(past: Past) -> dict[int, dict[int, tuple[int, int]]]:
    found: dict[int, dict[int, tuple[int, int]]] = {}
    rows = zip(past.customer, past.product, past.times, past.last_age, strict=True)
    for customer, product, times, age in rows:
        found.setdefault(int(customer), {})[int(product)] = (int(times), int(age))
    return found


@given(ROWS)
def test_own_best_sellers_are_what_was_bought_most_often_then_last_and_is_on_sale(rows):
    past, shop = shop_of(rows)
    wanted = {}
    for customer, products in had(past).items():
        sold = [product for product in products if shop.on_sale[product]]
        order = sorted(sold, key=lambda p: (-products[p][0], products[p][1], TIE[p]))
        if order:
            wanted[customer] = order[:TOP]
    assert by_customer(own_best(past, shop, top=TOP)) == wanted


@given(ROWS)
def test_the_shops_best_sellers_are_counted_in_customers_of_the_last_horizon(rows):
    past, shop = shop_of(rows)
    everyone = had(past)
    buyers = {
        product: sum(own.get(product, (0, 99))[1] <= 14 for own in everyone.values())
        for product in range(len(PRODUCTS))
    }
    best = sorted((p for p in buyers if buyers[p]), key=lambda p: (-buyers[p], TIE[p]))
    wanted = {c: [p for p in best if p not in own][:TOP] for c, own in everyone.items()}
    found = by_customer(shop_best(past, shop, top=TOP))
    assert found == {customer: products for customer, products in wanted.items() if products}
    whole = by_customer(shop_best(past, shop, top=TOP, unbought=False))
    assert whole == (dict.fromkeys(everyone, best[:TOP]) if best else {})


@given(ROWS)
def test_the_two_are_put_together_own_ones_first(rows):
    past, shop = shop_of(rows)
    own = by_customer(own_best(past, shop, top=TOP))
    new = by_customer(shop_best(past, shop, top=TOP))
    wanted = {c: (own.get(c, []) + new.get(c, []))[:TOP] for c in {*own, *new}}
    assert by_customer(own_then_shop(past, shop, top=TOP)) == wanted


@given(ROWS, st.sampled_from(["all", "repeat", "new"]))
def test_every_list_has_ranks_without_gaps_and_nothing_twice_or_off_sale_or_of_another_kind(
    rows, kind
):
    past, shop = shop_of(rows)
    learnt = learnt_lists(*candidates(past, shop), ranker(shop), shop, kind=kind, top=TOP)
    for lists in (learnt, own_then_shop(past, shop, top=TOP)):
        ranks = zip(lists.customer.tolist(), lists.rank.tolist(), strict=True)
        wanted = [
            (customer, rank)
            for customer, products in sorted(by_customer(lists).items())
            for rank in range(1, len(products) + 1)
        ]
        assert list(ranks) == wanted
        assert all(len(set(own)) == len(own) <= TOP for own in by_customer(lists).values())
        assert shop.on_sale[lists.product].all()
        bought = [p in had(past)[c] for c, p in zip(lists.customer, lists.product, strict=True)]
        assert lists.is_new.tolist() == [not one for one in bought]
        for customer, products in by_customer(lists).items():
            assert not gone(past).get(customer, set()) & set(products)
    if kind != "all":
        assert set(learnt.is_new.tolist()) <= {kind == "new"}


@given(ROWS)
def test_a_customers_list_does_not_depend_on_who_else_is_in_the_batch(rows):
    past, shop = shop_of(rows)
    every = learnt_lists(*candidates(past, shop), ranker(shop), shop, kind="all", top=TOP)
    for customer in range(past.visits.size):
        alone = past.of(np.arange(past.visits.size) == customer)
        one = learnt_lists(*candidates(alone, shop), ranker(shop), shop, kind="all", top=TOP)
        assert one.product.tolist() == every.product[every.customer == customer].tolist()
