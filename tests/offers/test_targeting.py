"""Whom a plan tells apart: one offer to the riskiest, or the best for each customer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from churn.offers.effects import Effects, Worth
from churn.offers.targeting import Targeting, rule_of, without_giants

money = st.integers(-50, 50).map(lambda tenths: tenths / 8)  # exact with a cost of 1
MEASURED = ("measured", "combined", "measured")


def worth_of(value, *, source=MEASURED, individual=(False,) * 3):
    """A worth of those values, at a cost of 1."""
    value = np.asarray(value, dtype=float)
    effects = Effects(value, value, value, source, individual=individual)
    return Worth(effects, value + 1.0, np.ones_like(value), np.ones(len(value)))


@pytest.fixture(scope="module")
def trio(make_offer):
    return [make_offer("a"), make_offer("b"), make_offer("c")]


@given(
    value=arrays(float, (8, 3), elements=money),
    permitted=arrays(bool, (8, 3)),
    risk=arrays(float, 8, elements=st.floats(0, 1)),
)
def test_one_offer_goes_to_the_riskiest_customers_who_may_have_it(trio, value, permitted, risk):
    found = Targeting.of(worth_of(value), permitted, risk, trio)
    assert not (found.allowed & ~permitted).any()
    assert (found.allowed.sum(axis=1) <= 1).all()
    total = 0.0
    for column in np.flatnonzero(found.allowed.any(axis=0)):
        served = found.allowed[:, column]
        promised = found.worth.value[served, column]
        assert (promised > -1e-12).all()
        assert (value[served, column] > 0).all()
        assert promised.sum() <= value[served, column].sum() + 1e-9
        total += promised.sum()
    np.testing.assert_allclose(total, found.expected_value["one offer"], atol=1e-9)


@given(value=arrays(float, (8, 3), elements=money), risk=arrays(float, 8, elements=st.floats(0, 1)))
def test_where_all_may_have_everything_it_is_one_offer_to_the_riskiest(trio, value, risk):
    """Those are left out whom it costs more than it brings; each is promised the mean of all."""
    found = Targeting.of(worth_of(value), np.ones((8, 3), bool), risk, trio)
    served = found.allowed.any(axis=1)
    assert found.allowed.any(axis=0).sum() <= 1
    if served.any():
        offer = int(found.allowed.any(axis=0).argmax())
        riskier = risk > risk[served].min()
        assert (value[riskier & ~served, offer] <= 0).all()
        promised = found.worth.value[served, offer]
        assert promised == pytest.approx(np.full(len(promised), promised[0]))


def test_a_customer_whom_the_offer_costs_more_than_it_brings_is_left_out(trio):
    value = [[3.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [4.0, 0.0, 0.0], [-5.0, 0.0, 0.0]]
    risk = np.array([0.9, 0.8, 0.7, 0.6])
    found = Targeting.of(worth_of(value), np.ones((4, 3), bool), risk, trio)
    assert found.allowed[:, 0].tolist() == [True, False, True, False]
    assert found.worth.value[found.allowed].tolist() == [2.0, 2.0]  # the mean of 3, -1 and 4
    assert found.expected_value["one offer"] == 4.0


def test_who_may_not_have_the_offer_is_given_another(trio):
    value = [[9.0, 2.0, 1.0]] * 4
    permitted = np.array(
        [[True, True, True], [False, True, True], [False, False, True], [False] * 3]
    )
    found = Targeting.of(worth_of(value), permitted, np.ones(4), trio)
    assert found.allowed.tolist() == [[n == k for k in range(3)] for n in range(4)]
    assert found.expected_value["one offer"] == 12.0


def test_who_comes_after_the_capacity_is_given_another(make_offer):
    offers = [make_offer("a", capacity=2), make_offer("b"), make_offer("c")]
    risk = np.array([0.9, 0.8, 0.7, 0.6])
    every = np.ones((4, 3), bool)
    scarce = Targeting.of(worth_of([[5.0, 1.0, 0.5]] * 4), every, risk, offers)
    assert scarce.allowed.tolist() == [[True, False, False]] * 2 + [[True, True, False]] * 2
    assert scarce.expected_value["one offer"] == 12.0
    ample = Targeting.of(worth_of([[1.5, 1.0, 0.5]] * 4), every, risk, offers)
    assert ample.allowed.tolist() == [[False, True, False]] * 4


@given(value=arrays(float, (8, 3), elements=money), permitted=arrays(bool, (8, 3)))
def test_each_rule_promises_no_less_than_a_coarser_one(trio, value, permitted):
    earned = Targeting.of(worth_of(value), permitted, np.full(8, 0.5), trio).expected_value
    assert earned["nobody"] <= earned["one offer"] <= earned["per customer"] + 1e-9


def test_each_objective_has_its_own_offer(make_offer):
    offers = [make_offer("a"), make_offer("b"), make_offer("back", objective="win_back")]
    found = Targeting.of(worth_of([[3.0, 1.0, 2.0]]), np.ones((1, 3), bool), np.ones(1), offers)
    assert found.allowed.tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    ("source", "individual", "rule"),
    [
        (("assumed",) * 3, (False,) * 3, "per customer"),
        (("measured", "assumed", "assumed"), (False,) * 3, "one offer"),
        (MEASURED, (True, False, False), "one offer"),
        (MEASURED, (True, True, False), "per customer"),
        (("measured", "assumed", "assumed"), (True, False, False), "per customer"),
    ],
)
def test_customers_are_told_apart_where_most_measured_effects_differ(source, individual, rule):
    effects = worth_of([[1.0] * 3], source=source, individual=individual).effects
    assert rule_of(effects) == rule


def test_told_apart_each_customer_has_the_full_choice(trio):
    value, permitted = [[1.0, 2.0, -1.0]], np.array([[True, True, False]])
    worth = worth_of(value, source=("assumed",) * 3)
    found = Targeting.of(worth, permitted, np.ones(1), trio)
    assert found.worth is worth
    assert found.allowed.tolist() == permitted.tolist()


def test_nobody_to_plan_for_is_no_error(trio):
    empty = np.zeros((0, 3))
    found = Targeting.of(worth_of(empty), empty.astype(bool), np.zeros(0), trio)
    assert found.expected_value == {"nobody": 0.0, "one offer": 0.0, "per customer": 0.0}


@pytest.mark.parametrize("giant", [0.0, 1e3, 1e5, 1e9])
def test_one_giant_customer_carries_neither_an_offer_nor_everybody_riskier(make_offer, giant):
    """The riskiest fifth is worth an offer, the rest is not; the giant is among the rest."""
    risk = np.linspace(1, 0, 5_000)
    value = np.where(risk > 0.8, 1.0, -1.0)[:, None]
    value[4_000] += giant
    found = Targeting.of(
        worth_of(value, source=("measured",), individual=(False,)),
        np.ones((5_000, 1), bool),
        risk,
        [make_offer("a")],
    )
    assert found.allowed[:, 0].tolist() == (risk > 0.8).tolist()
    assert found.expected_value["one offer"] == 1_000.0


@given(value=arrays(float, (2_000, 2), elements=st.floats(-3, 3)), giant=st.floats(1, 1e12))
def test_nobody_counts_for_much_more_than_a_hundredth_and_others_as_they_are(value, giant):
    value[0, 0] = giant
    capped, total = without_giants(value), np.abs(value[1:, 0]).sum()
    assert abs(capped[0, 0]) <= max(0.0102 * total, min(giant, 0.0102 * total + 1e-3 * giant))
    assert (np.abs(capped) <= np.abs(value)).all()
    assert (np.sign(capped) * np.sign(value) >= 0).all()


def test_in_a_small_base_and_where_nothing_is_permitted_values_stay_as_they_are():
    value = np.array([[1e9, -np.inf], [1.0, 2.0], [-1.0, -np.inf]])
    np.testing.assert_array_equal(without_giants(value), value)
