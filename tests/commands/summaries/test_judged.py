"""The notes of an evaluation."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from churn.commands.summaries.judgements import amount_notes
from churn.modeling.expectations import JudgedAmount
from churn.modeling.metrics import Interval


def judged(low, high, *, amount="margin", predictor="model"):
    ratio = Interval((low + high) / 2, low, high)
    return JudgedAmount(amount, predictor, 1.0, 1.0, ratio, ratio)


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.7), (1.3, 1.5)])
def test_a_margin_far_from_the_observed_is_noted(low, high):
    (note,) = amount_notes(SimpleNamespace(amounts=[judged(low, high)]))
    assert f"was {(low + high) / 2:.0%} of the observed one" in note


@pytest.mark.parametrize(("low", "high"), [(0.7, 0.9), (0.9, 1.1), (1.2, 1.4)])
def test_a_margin_that_may_be_close_is_not_noted(low, high):
    assert amount_notes(SimpleNamespace(amounts=[judged(low, high)])) == ()


@pytest.mark.parametrize(("beyond", "reported"), [(0.019, False), (0.045, True)])
def test_a_margin_from_giant_orders_is_noted(beyond, reported):
    one = replace(judged(0.9, 1.1), beyond_fence=beyond)
    notes = amount_notes(SimpleNamespace(amounts=[one]))
    assert bool(notes) is reported
    if reported:
        assert notes[0].startswith("4.5% of the observed margin at the test cutoffs lies in the")


def test_other_amounts_and_predictors_are_only_in_the_table():
    others = [judged(0.1, 0.2, amount="orders"), judged(0.1, 0.2, predictor="own_rate")]
    assert amount_notes(SimpleNamespace(amounts=others)) == ()
