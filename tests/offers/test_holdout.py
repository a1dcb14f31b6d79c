import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.offers.arms import hash_position

IDS = [f"c{number}" for number in range(20_000)]
customer_ids = st.lists(st.text(), unique=True, max_size=30)
shares = st.floats(0, 1)


def in_holdout(ids, *, share, salt):
    """Membership in a holdout of that share."""
    return hash_position(ids, salt=salt) < share


@given(customer_ids, shares, st.randoms())
def test_membership_does_not_depend_on_the_order(ids, share, random):
    members = dict(zip(ids, in_holdout(ids, share=share, salt="s"), strict=True))
    random.shuffle(ids)
    assert dict(zip(ids, in_holdout(ids, share=share, salt="s"), strict=True)) == members


@given(customer_ids, shares, shares)
def test_a_larger_share_keeps_every_member(ids, one, other):
    small, large = sorted([one, other])
    members = in_holdout(ids, share=small, salt="s")
    assert (in_holdout(ids, share=large, salt="s") >= members).all()


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_the_share_is_met_within_sampling_error(share):
    found = in_holdout(IDS, share=share, salt="2025").mean()
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / len(IDS))


def test_share_0_holds_nobody_and_share_1_everybody():
    assert not in_holdout(IDS, share=0, salt="s").any()
    assert in_holdout(IDS, share=1, salt="s").all()


def test_another_salt_draws_independently():
    both = in_holdout(IDS, share=0.3, salt="a") & in_holdout(IDS, share=0.3, salt="b")
    assert abs(both.mean() - 0.09) < 0.01


def test_places_are_the_same_in_every_release():
    places = hash_position(["007", "7"], salt="2025")
    assert places.tolist() == [0.9356272784074859, 0.5152904641598672]


def test_a_salt_may_be_longer_than_the_key_of_the_hash():
    long = hash_position(IDS[:2], salt="x" * 100)
    assert (long != hash_position(IDS[:2], salt="x" * 101)).all()


def test_no_customers_give_no_members():
    assert in_holdout([], share=0.5, salt="s").shape == (0,)


def test_an_empty_salt_is_refused():
    with pytest.raises(ConfigError, match="Choose any text once and keep it"):
        in_holdout(IDS, share=0.1, salt="")
