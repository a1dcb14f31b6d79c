"""Figures as text."""

import pytest

from churn.modeling.metrics import Interval
from churn.results.figures import difference, interval, share


def test_an_interval_has_its_digits_and_a_difference_has_its_signs():
    value = Interval(0.00215, -0.0004, 0.0046)
    assert interval(value) == "0.0022 [-0.0004, 0.0046]"
    assert interval(value, digits=2) == "0.00 [-0.00, 0.00]"
    assert difference(value) == "+0.0022 [-0.0004, +0.0046]"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_share_that_is_not_defined_is_a_dash_or_what_the_caller_says(value):
    assert share(value) == "-"
    assert share(value, absent="") == ""
