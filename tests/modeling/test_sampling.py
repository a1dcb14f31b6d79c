"""A base too large to learn from gives a sample of whole customers, the same on every run."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import shop_dataset, shop_panel, shop_tables

from churn.modeling.dataset import LABELS, build_dataset
from churn.modeling.sampling import pick_customers

CUSTOMERS = 600
IDS = st.lists(st.text(min_size=1, max_size=8), unique=True, min_size=1, max_size=50)


@given(ids=IDS, few=st.integers(1, 60), more=st.integers(0, 60))
def test_a_larger_sample_keeps_every_customer_of_a_smaller_one(ids, few, more):
    small, large = pick_customers(ids, few), pick_customers(ids, few + more)
    assert len(small) == min(few, len(ids))
    assert set(small) <= set(large) <= set(ids)


@given(ids=IDS, most=st.integers(1, 60), shuffler=st.randoms(use_true_random=False))
def test_the_order_of_the_customers_does_not_choose_them(ids, most, shuffler):
    other = list(ids)
    shuffler.shuffle(other)
    assert set(pick_customers(ids, most)) == set(pick_customers(other, most))


def test_names_of_one_pattern_are_drawn_evenly():
    """A half of 10,000 numbered names: every hundred of them gives its share, within chance."""
    kept = [int(name) for name in pick_customers([f"{n:05d}" for n in range(10_000)], 5_000)]
    by_hundred = [sum(n // 100 == block for n in kept) for block in range(100)]
    assert min(by_hundred) > 30
    assert max(by_hundred) < 70


@pytest.fixture(scope="module")
def sampled():
    """The shop's panel with room for the rows of a quarter of its customers."""
    panel = shop_panel()
    rows = CUSTOMERS // 4 * len(panel.cutoffs)
    return rows, build_dataset(shop_tables(), panel.cutoffs, panel.clock, most_rows=rows)


def test_whole_customers_are_left_out_and_counted(sampled):
    most_rows, dataset = sampled
    everyone = shop_dataset().rows
    kept = dataset.rows["customer_id"].unique()
    assert 0 < len(dataset) <= most_rows
    assert dataset.customers_left_out == CUSTOMERS - CUSTOMERS // 4
    assert len(dataset) == everyone["customer_id"].isin(kept).sum()


def test_the_rows_of_a_sample_are_those_of_the_whole(sampled):
    """What is learnt from the population is still learnt from everyone."""
    _, dataset = sampled
    everyone = shop_dataset().rows
    same = everyone[everyone["customer_id"].isin(dataset.rows["customer_id"])]
    names = ["recency_days", "expected_gap_days", "p_alive", "lapse", "horizon_net_spend"]
    for name in ("customer_id", "cutoff", "status"):
        assert dataset.rows[name].tolist() == same[name].tolist()
    assert dataset.rows[names].to_numpy() == pytest.approx(
        same[names].to_numpy(), rel=1e-9, nan_ok=True
    )


def test_a_base_that_fits_is_taken_whole():
    panel = shop_panel()
    rows = CUSTOMERS * len(panel.cutoffs)
    dataset = build_dataset(shop_tables(), panel.cutoffs, panel.clock, most_rows=rows)
    assert dataset.customers_left_out == 0
    assert len(dataset) == len(shop_dataset())


def test_labels_are_the_same_whichever_features_are_asked_for():
    panel = shop_panel()
    without = build_dataset(shop_tables(), panel.cutoffs, panel.clock, names=())
    assert without.feature_names == ()
    labels = ["customer_id", "status", *LABELS]
    pd.testing.assert_frame_equal(without.rows[labels], shop_dataset().rows[labels])
