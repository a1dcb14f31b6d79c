"""Rules of targeting by what they earned on contacts that chance decided."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.uplift import rule_values
from churn.uplift.experiment import ExperimentData
from churn.uplift.rule_values import RULES, Contacts, expected_costs
from churn.uplift.study import OutOfFold

OFFERS = ("gift", "points")
COST = 1.0


def contacts(rows=6_000, seed=0, *, gain=(4.0, 2.0), harm=0.0):
    """Contacts of three arms; an offer brings its gain where the risk is above a half, else the
    harm. Predictions know the margin without offers, and nothing of effects.
    """
    rng = np.random.default_rng(seed)
    arm = rng.choice(3, rows, p=[0.4, 0.3, 0.3])
    risk = rng.uniform(0.05, 0.95, rows)
    expected = 20 * (1 - risk)
    brings = np.where(risk[:, None] > 0.5, np.array([0.0, *gain]), np.array([0.0, harm, harm]))
    margin = expected + brings[np.arange(rows), arm] + rng.normal(0, 5, rows)
    data = ExperimentData(
        pd.DataFrame(
            {
                "customer_id": [f"c{number}" for number in range(rows)],
                "lot": "a",
                "offer_id": np.array(["none", *OFFERS])[arm],
                "propensity": np.array([0.4, 0.3, 0.3])[arm],
                "retained": 1.0,
                "margin": margin,
            }
        ),
        (),
        28,
    )
    outcomes = np.column_stack([1 - risk] * 3)
    unseen = OutOfFold(OFFERS, {"dr": np.zeros((rows, 2))}, outcomes, np.zeros((rows, 2)), expected)
    return data, unseen


def values(data, unseen, cost=COST):
    found = rule_values.rule_values(data, unseen, np.full((len(data), 2), cost))
    assert [one.rule for one in found] == list(RULES)
    return dict(zip(("riskiest", "quarters", "each"), found, strict=True))


def test_rules_earn_what_their_offers_bring_less_what_they_cost():
    """The riskier half with the gift earns 4 - 1 each; predictions see no effect, so nobody gets an
    offer by them.
    """
    found = values(*contacts())
    for rule in (found["riskiest"], found["quarters"]):
        assert abs(rule.value.estimate - 0.5 * 3.0) < 4 * rule.value.error
        assert rule.value.low > 0
        assert rule.share == pytest.approx(0.5, abs=0.06)
    assert found["each"].share == 0.0
    assert found["each"].value.estimate == 0.0


def test_where_no_offer_pays_no_rule_is_shown_to_earn():
    found = values(*contacts(gain=(0.5, 0.2), harm=-1.0))
    assert found["riskiest"].share < 0.2
    assert found["quarters"].share < 0.2
    assert all(one.value.low <= 0 for one in found.values())


@given(st.integers(0, 200))
@settings(max_examples=25, deadline=None)
def test_without_any_effect_the_interval_seldom_excludes_what_the_offers_cost(seed):
    """Each rule's truth is its share times the cost; five standard errors of chance."""
    found = values(*contacts(2_000, seed, gain=(0.0, 0.0)))
    for rule in found.values():
        truth = -COST * rule.share
        assert abs(rule.value.estimate - truth) <= 5 * rule.value.error + 1e-12


def test_no_contact_is_evaluated_by_a_rule_that_has_seen_its_outcome():
    """A giant outcome changes the choice for others, never for the contact itself."""
    rng = np.random.default_rng(3)
    part = Contacts(
        np.ones((1_500, 2), bool),
        rng.uniform(0.05, 0.95, 1_500),
        np.zeros((1_500, 2)),
        rng.normal(0, 3, (1_500, 2)),
        np.arange(1_500),
    )
    for rule in (rule_values.one_offer_to_the_riskiest, rule_values.best_offer_by_risk):
        choice = rule_values._cross_fitted(rule, part, 0)
        changed = 0
        for row in range(0, 1_500, 100):
            gained = part.gained.copy()
            gained[row] = (-1e5, 1e5)
            other = rule_values._cross_fitted(rule, replace(part, gained=gained), 0)
            assert other[row] == choice[row]
            changed += (other != choice).any()
        assert changed > 7


def test_offers_go_only_to_contacts_that_could_have_got_them():
    data, unseen = contacts()
    rows = data.rows.copy()
    narrow = (rows.index % 2 == 0) & (rows["offer_id"] != "gift")
    rows.loc[narrow, "lot"] = "points alone"
    data = replace(data, rows=rows)
    found = values(data, unseen)
    in_set = data.in_choice_set("gift")
    assert 0.5 < in_set.mean() < 0.8
    assert found["riskiest"].share < 0.55 * in_set.mean() + 0.06


def test_offers_of_unknown_cost_are_given_to_nobody():
    data, unseen = contacts()
    cost = np.column_stack([np.full(len(data), np.nan), np.full(len(data), COST)])
    found = rule_values.rule_values(data, unseen, cost)[0]
    assert abs(found.value.estimate - 0.5 * 1.0) < 4 * found.value.error


def test_too_few_contacts_have_no_value():
    data, unseen = contacts(120)
    assert all(one.value is None for one in values(data, unseen).values() if one.share > 0.9)


def test_costs_are_those_of_redemptions_seen_and_of_the_average_order(make_offer):
    data, _ = contacts(1_000)
    sent = data.assigned("gift")
    rows = data.rows.assign(redeemed=0.0, average_basket=50.0)
    rows.loc[np.flatnonzero(sent)[: int(0.25 * sent.sum())], "redeemed"] = 1.0
    rows.loc[0, "average_basket"] = np.nan
    known = replace(data, rows=rows, feature_names=("average_basket",))
    offers = [
        make_offer("gift", margin_cost=4.0, contact_cost=0.1, redemption_rate=0.9),
        make_offer("points", margin_cost="10%", contact_cost=0.1, redemption_rate=0.9),
    ]
    costs = expected_costs(known, offers)
    rate = rows.loc[sent, "redeemed"].mean()
    np.testing.assert_allclose(costs["gift"], 0.1 + rate * 4.0)
    np.testing.assert_allclose(costs["points"], 0.1)
    unknown = expected_costs(data, offers)
    np.testing.assert_allclose(unknown["gift"], 0.1 + 0.9 * 4.0)
    assert np.isnan(unknown["points"]).all()
