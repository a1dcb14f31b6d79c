"""Differences of log loss by slice: intervals that allow for how many slices are looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.modeling.metrics import log_loss, paired_log_loss_difference
from churn.modeling.paired import slice_differences

CUSTOMERS = np.repeat(np.arange(1500), 2).astype(str).astype(object)


def drawn(seed, *, share=0.3):
    """Outcomes of 3,000 rows, and the probabilities that they were drawn from."""
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.normal(share, 0.15, 3000), 0.02, 0.98)
    return (rng.random(3000) < truth).astype(float), truth


def halves():
    first = np.arange(3000) % 2 == 0
    return {"first": first, "second": ~first}


def test_a_model_that_is_worse_on_one_slice_is_found_there_and_nowhere_else():
    target, truth = drawn(1)
    masks = halves()
    spoilt = np.where(masks["second"], 1 - truth, truth)
    first, second = slice_differences(target, spoilt, truth, CUSTOMERS, masks, seed=0)
    assert (first.name, first.is_worse, first.difference.estimate) == ("first", False, 0.0)
    assert (second.name, second.is_worse) == ("second", True)


def test_estimates_are_the_means_over_the_rows_of_each_slice():
    target, truth = drawn(2)
    other = np.clip(truth + 0.1, 0, 1)
    for one in slice_differences(target, truth, other, CUSTOMERS, halves(), seed=0):
        mask = halves()[one.name]
        expected = log_loss(target[mask], truth[mask]) - log_loss(target[mask], other[mask])
        assert one.difference.estimate == pytest.approx(expected)
        assert one.positives == target[mask].sum()


def test_one_slice_of_all_rows_has_the_interval_of_the_plain_bootstrap():
    target, truth = drawn(3)
    other = np.clip(truth + 0.1, 0, 1)
    everyone = {"all": np.ones(3000, dtype=bool)}
    (one,) = slice_differences(target, truth, other, CUSTOMERS, everyone, seed=0)
    plain = paired_log_loss_difference(target, truth, other, CUSTOMERS, seed=0)
    assert one.level == pytest.approx(0.95)
    assert one.difference.low == pytest.approx(plain.low, rel=0.1)
    assert one.difference.high == pytest.approx(plain.high, rel=0.1)


def test_slices_with_fewer_than_a_hundred_positives_are_not_judged():
    target, truth = drawn(4)
    small = np.zeros(3000, dtype=bool)
    small[np.flatnonzero(target == 1)[:99]] = True
    assert slice_differences(target, 1 - truth, truth, CUSTOMERS, {"small": small}, seed=0) == ()


@given(st.integers(1, 12))
def test_the_error_of_five_percent_is_shared_by_all_slices(count):
    target, truth = drawn(5)
    masks = {f"slice {number}": np.arange(3000) % 2 == 0 for number in range(count)}
    found = slice_differences(target, truth, truth, CUSTOMERS, masks, replicates=2, seed=0)
    assert [one.level for one in found] == pytest.approx([1 - 0.05 / count] * count)


def test_chance_alone_refuses_hardly_ever():
    """Two equally good predictors, five slices, 200 shops: one in forty is refused at most."""
    refused = 0
    for seed in range(200):
        target, truth = drawn(seed)
        rng = np.random.default_rng(1000 + seed)
        one, two = (np.clip(truth + rng.normal(0, 0.05, 3000), 0.01, 0.99) for _ in range(2))
        masks = {f"fifth {k}": np.arange(3000) % 5 == k for k in range(5)}
        found = slice_differences(target, one, two, CUSTOMERS, masks, replicates=100, seed=seed)
        refused += any(slice_of.is_worse for slice_of in found)
    assert refused <= 10  # 5 are expected at most; P(more than 10) is .02
