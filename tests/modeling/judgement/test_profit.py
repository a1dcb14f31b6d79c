"""EMPC by the hull equals the integral over every threshold, by its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from churn.errors import ConfigError
from churn.modeling.judgement.profit import (
    CampaignRules,
    expected_maximum_profit,
    profit_curve,
)

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=40)
RULES = st.builds(
    CampaignRules,
    lifetime_value=st.floats(50, 500),
    offer_cost=st.floats(0, 40),
    contact_cost=st.floats(0.5, 20),
    alpha=st.floats(1, 10),
    beta=st.floats(1, 20),
)


def by_integration(lapse, score, rules, points=10_001):
    """The definition: for every gamma the best of all thresholds, and the mean over gamma."""
    gamma = (np.arange(points) + 0.5) / points
    best, share = np.zeros(points), np.zeros(points)
    for threshold in np.unique(score):
        listed = score >= threshold
        lapsed, stayed = np.mean(listed & (lapse == 1)), np.mean(listed & (lapse == 0))
        worth = rules.lifetime_value - rules.offer_cost
        money = gamma * worth * lapsed - rules.contact_cost * lapsed
        money -= (rules.offer_cost + rules.contact_cost) * stayed
        share = np.where(money > best, lapsed + stayed, share)
        best = np.maximum(best, money)
    weight = beta.pdf(gamma, rules.alpha, rules.beta) / points
    return float(best @ weight), float(share @ weight)


@settings(max_examples=30)
@given(ROWS, RULES)
def test_it_equals_numerical_integration(rows, rules):
    lapse, score = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = expected_maximum_profit(lapse, score / 20, rules=rules)
    assert found == pytest.approx(by_integration(lapse, score, rules), abs=2e-3, rel=1e-3)


def test_by_hand_where_gamma_is_all_but_known():
    """One lapses of ten and is ranked first: 0.3 x 190 - 1, over ten customers."""
    lapse = np.r_[1.0, np.zeros(9)]
    rules = CampaignRules(alpha=0.3e7, beta=0.7e7)
    found, share = expected_maximum_profit(lapse, lapse, rules=rules)
    assert found == pytest.approx((0.3 * 190 - 1) / 10, rel=1e-4)
    assert share == pytest.approx(0.1)


@given(ROWS)
def test_a_row_drawn_twice_counts_as_two(rows):
    lapse, score = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    weights = np.arange(len(rows)) % 3 * 1.0
    if not weights.sum():
        return
    twice = np.repeat(np.arange(len(rows)), weights.astype(int))
    assert expected_maximum_profit(lapse, score / 20, weights=weights) == pytest.approx(
        expected_maximum_profit(lapse[twice], score[twice] / 20)
    )


def test_without_a_customer_it_is_not_defined():
    assert np.isnan(expected_maximum_profit([], [])).all()


def test_the_curve_begins_at_nothing_and_ends_where_all_are_contacted():
    rng = np.random.default_rng(0)
    lapse = (rng.random(300) < 0.2).astype(float)
    found = profit_curve("model", lapse, rng.random(300), np.arange(300), replicates=20)
    rate, rules = lapse.mean(), CampaignRules()
    assert found.profit[0] == 0
    everyone = rate * (0.3 * 190 - 1) - (1 - rate) * rules.loss
    assert found.profit[-1] == pytest.approx(everyone)
    assert found.best.low <= found.best.estimate <= found.best.high
    assert 0 <= found.best_share <= 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"offer_cost": 300.0}, r"offer_cost below lifetime_value, got .*Pass e.g. 200, 10 and 1"),
        ({"contact_cost": -1.0}, r"costs must be >= 0"),
        ({"alpha": 0.0}, r"alpha and beta must be above 0, got .*Pass e.g. 6 and 14"),
    ],
)
def test_rules_that_make_no_campaign_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        CampaignRules(**wrong)
