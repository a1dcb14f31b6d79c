"""What the shop says of its products: against plain Python, whatever the baskets."""

import numpy as np
import pytest
from basket_rows import PRODUCTS, ROWS, purchases_of
from hypothesis import given

from churn.recommendations.copurchase import DOUBT, Shop
from churn.recommendations.purchases import Moment


@given(ROWS)
def test_rates_and_gaps_are_drawn_to_those_of_all_products(rows):
    past = purchases_of(rows).before(Moment(20, 20.0), half_life_days=10.0)
    shop = Shop.at(past, np.arange(3), horizon_days=14, within_days=28, least_buyers=1)
    own = [np.flatnonzero(past.product == product) for product in range(len(PRODUCTS))]
    came_back = [sum(past.times[one] > 1) for one in own]
    gaps = [sum(past.times[one] - 1) for one in own]
    spans = [sum(past.first_age[one] - past.last_age[one]) for one in own]
    every_rate = sum(came_back) / max(1, past.product.size)
    every_gap = sum(spans) / max(1, sum(gaps))
    for product, one in enumerate(own):
        rate = (came_back[product] + DOUBT * every_rate) / (one.size + DOUBT)
        gap = (spans[product] + DOUBT * every_gap) / (gaps[product] + DOUBT)
        assert shop.repeat_rate[product] == pytest.approx(rate)
        assert shop.gap_days[product] == pytest.approx(gap)
        assert shop.buyers[product] == sum(past.last_age[one] <= 14)
        assert shop.on_sale[product] == any(past.last_age[one] <= 28)
