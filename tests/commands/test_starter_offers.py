"""The starter catalogue is valid, and its costs are scaled to the mean order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.commands.starter_files import nice, starter_offers
from churn.offers.catalogue import Offers


@pytest.mark.parametrize("order", [None, 0.5, 38.2, 12_400.0, 3e6])
def test_the_starter_offers_are_valid_for_any_mean_order(tmp_path, order):
    path = tmp_path / "offers.toml"
    path.write_text(starter_offers(order, currency="EUR", margin_rate=0.25))
    greeting, discount, voucher = Offers.load(path)
    assert (greeting.margin_cost, discount.margin_cost) == (0.0, "10%")
    assert voucher.margin_cost == pytest.approx(0.2 * (order or 40.0), rel=0.3)
    assert all(offer.contact_cost < 0.1 * (order or 40.0) for offer in (greeting, discount))


def test_the_shops_own_figures_are_in_the_header():
    text = starter_offers(73.456, currency="EUR", margin_rate=0.25)
    assert "your mean order is 73.46 EUR; a margin of 25%" in text
    assert "@" not in text


@given(st.floats(1e-3, 1e7))
def test_a_nice_amount_is_near_and_has_two_figures_at_most(amount):
    found = nice(amount)
    assert 0.7 * amount <= found <= 1.4 * amount
    assert len(f"{found:.6e}".split("e")[0].rstrip("0").replace(".", "")) <= 2
