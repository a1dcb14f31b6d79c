"""What a plan intends does not depend on the draws, so propensities hold where limits bind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from churn.arrays import Floats
from churn.offers.allocation.knapsack import NOTHING
from churn.offers.arms import TREATMENT, Shares, draw_arms, hash_position, propensities
from churn.offers.choice import decide
from churn.offers.effects import Effects, Worth
from churn.offers.exploration import equal_chances
from churn.offers.groups import GroupRules, Groups, PlanLimits

COUNT, OFFERS, DRAWS = 120, 2, 200
IDS = [f"customer-{number}" for number in range(COUNT)]
SHARES = Shares(holdout=0.15, control=0.05, explore=0.15)
FREE = np.array([np.inf, np.inf])
SHOP = np.random.default_rng(3)
PERMITTED = SHOP.random((COUNT, OFFERS)) < 0.9
GAIN = SHOP.gamma(2, 1, (COUNT, OFFERS)) + 0.5
COST = SHOP.uniform(0.2, 1.5, (COUNT, OFFERS))
REGIONS = Groups(
    GroupRules(by="region", caps={"north": 0.3}, floors={"south": 0.2}),
    ("north", "south"),
    np.arange(COUNT) % 2,
)


def worth_of(gain: Floats, cost: Floats) -> Worth:
    effects = Effects(gain, gain, gain, ("assumed",) * gain.shape[1])
    return Worth(effects, gain, cost, np.ones(len(gain)))


COULD = np.column_stack([PERMITTED, np.ones(COUNT)])
CHANCES = {
    "equal chances": equal_chances(PERMITTED),
    "unequal chances": COULD * [0.1, 0.6, 0.3] / (COULD @ [0.1, 0.6, 0.3])[:, None],
    "chances of their own": COULD
    * (own := SHOP.gamma(0.5, 1, (COUNT, OFFERS + 1)) + 0.01)
    / (COULD * own).sum(axis=1, keepdims=True),
}


def one_draw(key, limits, *, gain=GAIN, cost=COST, shares=SHARES, chances="equal chances"):
    shares = Shares(
        holdout=shares.holdout, control=shares.control, explore=shares.explore, key=f"key-{key}"
    )
    occasion = {"campaign": "spring", "occasion": "2024-03-01"}
    arms = draw_arms(IDS, CHANCES[chances], cost, shares, limits, **occasion)
    ties = hash_position(IDS, salt="ties")  # of the customer, not of the draw
    return arms, decide(worth_of(gain, cost), PERMITTED, arms, limits, ties=ties)


LIMITS = {
    "none": PlanLimits(np.inf, FREE),
    "budget": PlanLimits(30.0, FREE),
    "capacity": PlanLimits(np.inf, np.array([15.0, 40.0])),
    "budget and capacities": PlanLimits(25.0, np.array([12.0, 60.0])),
    "groups": PlanLimits(np.inf, FREE, REGIONS),
    "budget and groups": PlanLimits(22.0, FREE, REGIONS),
}


ALIKE = {"gain": np.full((COUNT, OFFERS), 2.0), "cost": np.ones((COUNT, OFFERS))}


CASES = [
    ("none", "different", "chances of their own"),
    ("none", "all alike", "equal chances"),
    ("budget", "different", "unequal chances"),
    ("budget", "all alike", "chances of their own"),
    ("budget and capacities", "different", "chances of their own"),
    ("budget and groups", "different", "unequal chances"),
]
SHOPS = {"different": {}, "all alike": ALIKE}


@pytest.mark.parametrize(("name", "shop", "chances"), CASES)
def test_propensities_are_the_frequencies_over_many_draws(name, shop, chances):
    counts, stated = np.zeros((COUNT, OFFERS + 1)), np.zeros((COUNT, OFFERS + 1))
    for key in range(DRAWS):
        arms, found = one_draw(key, LIMITS[name], chances=chances, **SHOPS[shop])
        counts[np.arange(COUNT), found.choice] += 1
        for offer in (NOTHING, 0, 1):
            could = np.full(COUNT, offer)
            p = propensities(arms, could, found.intended, found.spare)
            possible = PERMITTED[:, offer] if offer != NOTHING else np.ones(COUNT, dtype=bool)
            stated[:, offer] += np.where(possible, p, 0.0)
    drawn = ~found.spare & PERMITTED.any(axis=1)
    assert drawn.sum() > COUNT / 3
    expected, seen = stated[drawn], counts[drawn]
    assert expected.sum(axis=1) == pytest.approx(np.full(drawn.sum(), DRAWS))
    cells = expected > 0
    statistic = ((seen[cells] - expected[cells]) ** 2 / expected[cells]).sum()
    assert (seen[~cells] == 0).all()
    assert chi2.sf(statistic, cells.sum() - drawn.sum()) > 1e-4


@pytest.mark.parametrize(
    ("shop", "chances"), [("different", "chances of their own"), ("all alike", "unequal chances")]
)
@pytest.mark.parametrize("name", LIMITS)
def test_a_customers_own_draw_and_nothing_else_decides(name, shop, chances):
    """So propensities are exact whatever binds: the intention is the same in every draw, and who is
    treated gets it; only what becomes of spare customers depends on the others.
    """
    draws = [one_draw(key, LIMITS[name], chances=chances, **SHOPS[shop]) for key in range(4)]
    arms, first = draws[0]
    kept = ~first.spare
    for other_arms, found in draws:
        assert other_arms.explore == arms.explore
        assert (found.spare == first.spare).all()
        assert (found.intended[kept] == first.intended[kept]).all()
        by_own_draw = np.where(other_arms.is_in(TREATMENT), found.intended, other_arms.drawn)
        assert (found.choice[kept] == by_own_draw[kept]).all()


@given(
    key=st.integers(0, 10**6),
    budget=st.floats(0, 60),
    places=st.integers(0, 60),
    cap=st.floats(0, 1),
    holdout=st.floats(0, 0.95),
    explore=st.floats(0, 1),
    chances=st.sampled_from([*CHANCES]),
)
@settings(max_examples=8, deadline=None)
def test_no_draw_exceeds_a_limit(key, budget, places, cap, holdout, explore, chances):
    groups = Groups(GroupRules(by="region", caps={"north": cap}), REGIONS.names, REGIONS.code)
    limits = PlanLimits(budget, np.array([float(places), np.inf]), groups)
    shares = Shares(holdout=holdout, explore=explore)
    _, found = one_draw(key, limits, shares=shares, chances=chances)
    served = found.choice != NOTHING
    spent = COST[np.arange(COUNT), found.choice][served].sum()
    assert spent <= budget * (1 + 1e-9)
    assert (found.choice == 0).sum() <= places
    assert (served & (REGIONS.code == 0)).sum() <= cap * (COUNT / 2) + 1e-9
    assert PERMITTED[np.arange(COUNT), found.choice][served].all()


def test_what_the_draws_leave_is_spent():
    _, found = one_draw(5, PlanLimits(30.0, FREE))
    served = np.flatnonzero(found.choice != NOTHING)
    assert COST[served, found.choice[served]].sum() > 30.0 - 2 * COST.min(axis=1).max()


def test_where_all_are_alike_and_the_budget_binds_there_is_somebody_to_compare():
    arms, found = one_draw(7, PlanLimits(40.0, FREE), **ALIKE)
    intended = (found.intended != NOTHING) & ~found.spare
    assert (intended & arms.is_in(TREATMENT)).sum() > 10
    assert (intended & ~arms.is_in(TREATMENT)).sum() > 2


def test_without_arms_the_whole_budget_is_planned_and_nobody_is_spare():
    shares = Shares(holdout=0.0)
    _, found = one_draw(1, PlanLimits(30.0, FREE), shares=shares)
    assert not found.spare.any()
    assert (found.choice == found.intended).all()
