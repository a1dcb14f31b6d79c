import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from churn.modeling.metrics import draws_of
from churn.uplift.experiment import customer_codes, customer_folds

customers = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40)


@given(customers, st.integers(2, 5), st.integers(0, 9))
def test_a_customer_is_in_one_fold_and_folds_are_of_like_size(customer, folds, seed):
    fold = customer_folds(customer, folds, seed=seed)
    pairs = set(zip(customer, fold.tolist(), strict=True))
    assert len(pairs) == len(set(customer))
    sizes = np.bincount([number for _, number in pairs], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


@given(customers, st.integers(0, 9))
def test_a_draw_takes_customers_whole_and_as_many_as_there_are(customer, seed):
    codes = customer_codes(customer)
    for drawn in draws_of(codes, 3, seed):
        by_customer = {code: set(drawn[codes == code]) for code in set(codes.tolist())}
        assert all(len(times) == 1 for times in by_customer.values())
        assert sum(times.pop() for times in by_customer.values()) == len(set(customer))


def test_nobody_gives_no_draws():
    assert list(draws_of(customer_codes([]), 3, 1)) == []
