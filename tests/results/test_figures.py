"""Figures as text."""

import pytest

from churn.modeling.metrics import Interval
from churn.results.figures import difference, interval, share


def test_intervals_have_digits_and_differences_have_signs():
    value = Interval(0.00215, -0.0004, 0.0046)
    assert interval(value) == "0.0022 [-0.0004, 0.0046]"
    assert interval(value, digits=2) == "0.00 [-0.00, 0.00]"
    assert difference(value) == "+0.0022 [-0.0004, +0.0046]"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_an_undefined_share_is_a_dash_or_the_given_text(value):
    assert share(value) == "-"
    assert share(value, absent="") == ""
