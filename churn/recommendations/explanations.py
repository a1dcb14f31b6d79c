"""Why a product stands in a customer's list, in plain words and the customer's own numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Ints
from churn.recommendations.catalogue import Catalogue
from churn.recommendations.copurchase import Shop
from churn.recommendations.lists import Lists
from churn.recommendations.purchases import Past

CUSTOMERS_AT_ONCE = 500
BEST_SELLER = "among the shop's best sellers of late"


def because(lists: Lists, past: Past, shop: Shop, catalogue: Catalogue, products: int) -> pa.Array:
    """A text for each row: how often and when an own product was bought; for a new one the product
    in the customer's baskets that speaks most for it, if any does.
    """
    own = _own_words(lists, past, products)
    told = pc.coalesce(catalogue.names, catalogue.ids)
    basis = basis_of(lists, past, shop)
    basis = np.where(np.isnan(lists.score), -1, basis)  # best sellers stand on nothing else
    with_it = told.take(pa.array(basis, mask=basis < 0))
    goes = pc.binary_join_element_wise("goes with ", with_it, ", which they bought", "")
    return pc.if_else(pa.array(lists.is_new), pc.coalesce(goes, BEST_SELLER), own)


def _own_words(lists: Lists, past: Past, products: int) -> pa.Array:
    """'bought on 5 days, usually every 14 days, last 20 days ago'; null for new products."""
    rows = _rows_of(lists, past, products)
    times, last = past.times[rows], past.last_age[rows]
    gap = np.round((past.first_age[rows] - last) / np.maximum(times - 1, 1)).astype(np.int64)
    ago = pc.binary_join_element_wise("last", _days(last), "ago", " ")
    often = pc.binary_join_element_wise("bought on", _days(times), "", " ")
    every = pc.binary_join_element_wise("usually every", _days(np.maximum(gap, 1)), " ")
    many = pc.binary_join_element_wise(pc.utf8_trim_whitespace(often), every, ago, ", ")
    once = pc.binary_join_element_wise("bought once,", _days(last), "ago", " ")
    return pc.if_else(pa.array(times > 1), many, once)


def _days(days: Ints) -> pa.Array:
    """'1 day', '14 days'."""
    numbers = pa.array(days).cast(pa.string())
    word = pc.if_else(pa.array(days == 1), "day", "days")
    return pc.binary_join_element_wise(numbers, word, " ")


def _rows_of(lists: Lists, past: Past, products: int) -> Ints:
    """The row of the past that each recommendation stands on; any row for new ones."""
    key = past.customer * products + past.product
    rows = np.searchsorted(key, lists.customer * products + lists.product)
    return np.minimum(rows, key.size - 1)


def basis_of(lists: Lists, past: Past, shop: Shop) -> Ints:
    """The product of the customer that adds most to the score of a new one; -1 where none adds
    anything, and for own products.
    """
    together = shop.together
    basis = np.full(lists.product.size, -1, dtype=np.int64)
    has = together.held(past)
    rows = np.flatnonzero(lists.is_new & (together.place[lists.product] >= 0))
    for begin in range(0, rows.size, 10 * CUSTOMERS_AT_ONCE):
        some = rows[begin : begin + 10 * CUSTOMERS_AT_ONCE]
        held = has[lists.customer[some]]
        line = np.repeat(np.arange(some.size), np.diff(held.indptr))
        wanted = together.place[lists.product[some]][line]
        adds = held.data * together.weights[held.indices, wanted]
        order = np.lexsort((held.indices, -adds, line))
        first = order[np.flatnonzero(np.diff(line[order], prepend=-1))]
        speaks = adds[first] > 0
        basis[some[line[first[speaks]]]] = together.products[held.indices[first[speaks]]]
    return basis
