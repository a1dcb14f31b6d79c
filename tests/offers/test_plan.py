import json
import math
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from churn.errors import ConfigError, DataError
from churn.offers.arms import Shares
from churn.offers.catalogue import Offer, Offers
from churn.offers.effects import Effects, log_odds_shift
from churn.offers.groups import GroupRules
from churn.offers.plan import CustomerFacts, OfferPolicy, assign_offers
from churn.offers.plan_table import PLAN_SCHEMA
from churn.offers.remaining_life import RemainingLife

customers = st.lists(
    st.tuples(
        st.sampled_from(["eligible", "lapsed", "new"]),
        st.none() | st.floats(0, 1),
        st.none() | st.floats(0, 100),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def offers(make_offer):
    back = make_offer(
        "back", kind="win_back", channel="post", statuses=("lapsed",), margin_cost=20.0
    )
    return Offers((make_offer("small", margin_cost=1.0, effect=0.02), make_offer("big"), back), "c")


@pytest.fixture(scope="module")
def plan(offers):
    def plan(scores, **changes):
        return _plan_of(offers, scores, **changes)

    return plan


def _scores(rows, **changes):
    statuses, risks, values = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "customer_id": pa.array([f"c{number}" for number in range(len(rows))], pa.string()),
        "status": pa.array(statuses, pa.string()),
        "churn_probability": pa.array(risks, pa.float64()),
        "value_at_risk": pa.array(values, pa.float64()),
        "currency": pa.array(["USD"] * len(rows), pa.string()),
        "segment": pa.array(["loyal"] * len(rows), pa.string()),
    }
    return pa.table(columns | changes)


def _average(number):
    """Customers at the base rate with 200 at stake, who differ in nothing but their id."""
    return [("eligible", 0.2, 40.0)] * number


@given(customers, st.floats(0, 20), st.floats(0, 1), st.sampled_from(["required", "assumed"]))
@settings(max_examples=60, deadline=None)
def test_every_plan_keeps_its_promises(plan, rows, budget, share, consent):
    known = [*_average(10), *rows]
    scores = _scores(known)
    found = plan(scores, budget=budget, shares=Shares(holdout=share), consent=consent)
    table = found.table
    offered = pc.not_equal(table["offer_id"], "none")
    assert table.schema == PLAN_SCHEMA
    assert table["customer_id"].to_pylist() == scores["customer_id"].to_pylist()
    assert found.summary["expected_cost"] <= budget
    assert pc.sum(table["expected_cost"]).as_py() == pytest.approx(found.summary["expected_cost"])
    assert pc.sum(table["expected_value"]).as_py() == pytest.approx(found.summary["expected_value"])
    assert pc.is_null(table["suppression"]).equals(offered)
    assert pc.all(pc.greater(table.filter(offered)["expected_value"], 0), min_count=0).as_py()
    assert "holdout" not in table.filter(offered)["arm"].to_pylist()
    assert sum(found.summary["offers"].values()) == len(known)
    assert sum(found.summary["suppressed"].values()) == found.summary["offers"]["none"]
    json.dumps(found.summary, allow_nan=False)


@given(customers, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_what_the_plan_intends_does_not_depend_on_the_draw(plan, rows, key):
    scores = _scores([*_average(10), *rows])
    certain = plan(scores, shares=Shares(holdout=0.0)).table
    shares = Shares(holdout=0.3, control=0.2, explore=0.5, key=f"key {key}")
    drawn = plan(scores, shares=shares).table
    assert drawn["intended_offer_id"].equals(certain["intended_offer_id"])
    assert certain["intended_offer_id"].equals(certain["offer_id"])


def test_the_table_has_the_columns_of_the_design():
    assert PLAN_SCHEMA.names == [
        "customer_id",
        "run_id",
        "campaign_id",
        "as_of",
        "offer_id",
        "channel",
        "arm",
        "propensity",
        "lot",
        "effect",
        "effect_low",
        "effect_source",
        "expected_gain",
        "expected_cost",
        "expected_value",
        "suppression",
        "expires_on",
        "intended_offer_id",
    ]


def test_the_value_over_the_remaining_life_stands_beside_that_of_the_horizon(plan):
    """The gain of 6 at a retention of .8, for 13 horizons of 28 days in a year; the cost of 1."""
    scores = _scores(_average(1), horizon_days=pa.array([28], pa.int32()))
    life = RemainingLife(years=1.0, discount_rate=0.0)
    found = plan(scores, remaining_life=life)
    assert found.summary["expected_value"] == pytest.approx(5.0)
    expected = 6 * sum(0.8**k for k in range(13)) - 1
    assert found.summary["remaining_life"]["expected_value"] == pytest.approx(expected)
    assert found.table.equals(plan(scores).table)  # it decides nothing
    assert plan(_scores(_average(1))).summary["remaining_life"] is None


def test_an_offered_row_carries_its_worth_and_terms(plan):
    row = plan(_scores(_average(1))).table.to_pylist()[0]
    assert row["expected_gain"] == pytest.approx(0.03 * 200)
    assert row["expected_cost"] == pytest.approx(1.0)
    assert row["expected_value"] == pytest.approx(0.03 * 200 - 1.0)
    assert (row["effect"], row["effect_low"]) == pytest.approx((0.03, 0.01))
    assert row["expires_on"] == date(2024, 3, 13)
    fixed = {"offer_id": "big", "channel": "email", "effect_source": "assumed", "arm": "treatment"}
    fixed |= {"run_id": "run-1", "campaign_id": "c", "propensity": 1.0, "suppression": None}
    assert {name: row[name] for name in fixed} == fixed


def test_a_row_without_an_offer_is_worth_nothing_and_says_why(plan):
    row = plan(_scores(_average(1)), budget=0).table.to_pylist()[0]
    empty = {"channel": None, "effect_source": None, "expires_on": None, "offer_id": "none"}
    empty |= dict.fromkeys(["effect", "effect_low", "expected_gain", "expected_cost"], 0.0)
    empty |= {"expected_value": 0.0, "suppression": "budget_exhausted"}
    assert {name: row[name] for name in empty} == empty


def test_codes_follow_the_customer(plan):
    rows = [("new", 0.5, 50.0), ("eligible", None, 5.0), ("eligible", 0.2, 0.1), *_average(1)]
    consents = _consents(("c3", "email", "marketing", False))
    codes = plan(_scores(rows), consents=consents).table["suppression"].to_pylist()
    assert codes == ["status_not_served", "not_scored", "value_not_positive", "consent_refused"]


def test_without_a_consents_table_required_consent_makes_everyone_unknown(plan):
    found = plan(_scores(_average(3)), consent="required")
    assert found.summary["suppressed"] == {"consent_unknown": 3}


def test_the_holdout_gets_nothing_and_is_the_same_in_every_plan(plan):
    scores = _scores(_average(200))
    shares = Shares(holdout=0.2)
    first = plan(scores, shares=shares).table
    again = plan(scores, shares=shares, budget=9.0, run_id="other").table
    held_out = pc.equal(first["arm"], "holdout")
    assert first["arm"].equals(again["arm"])
    assert 20 < pc.sum(held_out).as_py() < 60
    assert set(first.filter(held_out)["suppression"].to_pylist()) == {"holdout"}


def test_an_objector_in_the_holdout_stays_in_its_arm_but_is_named_an_objector(plan):
    consents = _consents(("c0", "email", "profiling", False))
    row = plan(
        _scores(_average(1)), consents=consents, shares=Shares(holdout=1.0)
    ).table.to_pylist()[0]
    assert (row["arm"], row["suppression"]) == ("holdout", "objected")


def test_a_second_plan_after_the_first_contacts_nobody_again(plan):
    scores = _scores(_average(5))
    first = plan(scores).table
    made = {"customer_id": first["customer_id"], "offer_id": first["offer_id"]}
    contacts = pa.table(made | {"days_since": [0.0] * 5})
    assert plan(scores, contacts=contacts).summary["suppressed"] == {"cooldown": 5}


def test_a_tight_budget_goes_to_the_customers_with_most_at_stake(plan):
    rows = [("eligible", 0.2, value) for value in (20.0, 90.0, 30.0, 80.0)]
    found = plan(_scores(rows), budget=0.4)
    assert found.table["offer_id"].to_pylist() == ["none", "small", "none", "small"]
    assert found.summary["lambda"] > 0


def test_a_plan_does_not_depend_on_the_order_of_the_scores(plan):
    scores = _scores(_average(20))
    backwards = scores.take(list(reversed(range(20))))
    one, other = plan(scores, budget=3.0).table, plan(backwards, budget=3.0).table
    assert one.equals(other.take(list(reversed(range(20)))))


def test_the_base_rate_is_that_of_the_eligible(plan):
    rows = [("eligible", 0.1, 9.0), ("eligible", 0.3, 9.0), ("lapsed", 0.9, 9.0)]
    assert plan(_scores(rows)).summary["base_rate"] == pytest.approx(0.2)


def test_a_base_of_lapsed_customers_alone_uses_its_own_rate(plan):
    assert plan(_scores([("lapsed", 0.9, 90.0)])).summary["base_rate"] == pytest.approx(0.9)


def test_no_customers_give_an_empty_plan(plan):
    found = plan(_scores([]))
    assert found.table.schema == PLAN_SCHEMA
    assert found.summary["customers"] == found.summary["expected_cost"] == 0


def test_words_may_come_dictionary_encoded(plan):
    scores = _scores(_average(2))
    coded = pa.table({n: pc.dictionary_encode(scores[n]) for n in ["status", "currency"]})
    scores = scores.drop(["status", "currency"]).append_column("status", coded["status"])
    scores = scores.append_column("currency", coded["currency"])
    assert plan(scores).summary["offers"]["big"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"customer_id": ["a", "a"]}, "1 repeated.*Score one snapshot"),
        ({"customer_id": ["a", None]}, r"empty values in column\(s\) \['customer_id'\].*Complete"),
        ({"churn_probability": [0.1, 1.2]}, "Pass calibrated probabilities"),
        ({"value_at_risk": ["a", "b"]}, r"'value_at_risk': 'string'.*Convert the columns"),
        ({"currency": ["USD", "EUR"]}, r"got \['EUR'\]\. Convert the orders first"),
    ],
)
def test_scores_that_break_their_contract_are_refused(plan, changes, message):
    with pytest.raises(DataError, match=message):
        plan(_scores(_average(2), **changes))


def test_a_consents_table_without_its_columns_is_refused(plan):
    with pytest.raises(DataError, match=r"'consents' lacks column\(s\) \['granted'\].*Pass the"):
        plan(_scores(_average(1)), consents=_consents(("c0", "email", "x", True)).drop(["granted"]))


def test_a_contact_without_its_age_is_refused(plan):
    contacts = pa.table({"customer_id": ["c0"], "offer_id": ["x"], "days_since": [None]})
    with pytest.raises(DataError, match=r"'contacts' has empty values.*\['days_since'\]"):
        plan(_scores(_average(1)), contacts=contacts)


def test_an_effect_that_the_base_rate_leaves_no_room_for_is_refused(plan):
    with pytest.raises(ConfigError, match="offer 'small': effect must leave a retention rate"):
        plan(_scores([("eligible", 0.01, 1.0)]))


def test_who_explores_gets_offers_by_lot_and_each_row_says_how_likely(plan):
    shares = Shares(holdout=0.1, control=0.1, explore=0.5)
    table = plan(_scores(_average(400)), shares=shares).table
    explored = table.filter(pc.equal(table["arm"], "explore"))
    assert set(explored["offer_id"].to_pylist()) == {"none", "small", "big"}
    none = explored.filter(pc.equal(explored["offer_id"], "none"))
    assert set(none["suppression"].to_pylist()) == {"explore"}
    free = 0.9 * 0.9
    stated = {
        ("explore", "small"): free * 0.5 / 3,
        ("explore", "big"): free * (0.5 / 3 + 0.5),
        ("treatment", "big"): free * (0.5 / 3 + 0.5),
        ("holdout", "none"): 1 - free + free * 0.5 / 3,
        ("control", "none"): 1 - free + free * 0.5 / 3,
        ("explore", "none"): 1 - free + free * 0.5 / 3,
    }
    found = {(row["arm"], row["offer_id"]): row["propensity"] for row in table.to_pylist()}
    assert found == pytest.approx(stated)


def test_who_explores_hardly_gets_an_offer_known_to_lose_money_and_the_rows_say_so(plan):
    """Both offers of eligible customers were measured, the small one with a loss."""
    count, half = 2_000, 0.005
    mean = np.tile([-0.05, 0.05, 0.0], (count, 1))
    measured = Effects(mean, mean - half, mean + half, ("measured", "measured", "assumed"))
    shares = Shares(holdout=0.1, explore=0.5)
    found = plan(_scores(_average(count)), shares=shares, measured=measured)
    told = found.summary["exploration"]
    assert told["chances"]["small"] == pytest.approx(0.1 / 3, abs=0.002)  # a tenth of an equal one
    none = (0.45 / np.sqrt(2) - 0.1) / (0.45 * (1 + 1 / np.sqrt(2)))  # what the holdout lacks
    assert told["chances"]["none"] == pytest.approx(none, abs=0.002)
    assert told["best"]["big"] > 0.99
    assert told["chances"]["back"] is None
    rows = found.table.to_pylist()
    explored = [row for row in rows if row["arm"] == "explore" and row["offer_id"] == "small"]
    assert 0 < len(explored) < 0.05 * count
    assert {row["lot"] for row in rows} == {"small+big+none"}
    stated = {row["offer_id"]: row["propensity"] for row in rows}
    assert stated["small"] == pytest.approx(0.9 * 0.5 * told["chances"]["small"])
    assert sum(stated.values()) == pytest.approx(1.0)


def test_controls_get_nothing_of_this_campaign_and_say_so(plan):
    table = plan(_scores(_average(200)), shares=Shares(holdout=0.0, control=0.3)).table
    control = table.filter(pc.equal(table["arm"], "control"))
    assert 30 < control.num_rows < 90
    assert set(control["suppression"].to_pylist()) == {"control"}


def test_exploration_is_reserved_first_and_the_budget_still_holds(plan):
    shares = Shares(holdout=0.0, explore=0.3)
    found = plan(_scores(_average(300)), shares=shares, budget=60.0)
    assert found.summary["explored_cost"] > 0
    assert found.summary["expected_cost"] <= 60.0
    assert found.summary["worst_cost"] >= found.summary["expected_cost"]


def test_an_offers_capacity_is_kept_and_its_price_is_said(make_offer, offers):
    few = Offers((make_offer("big", capacity=7),), "c")
    found = _plan_of(few, _scores(_average(50)))
    assert found.summary["offers"]["big"] == 7
    assert found.summary["suppressed"] == {"capacity_exhausted": 43}
    assert found.summary["offer_prices"]["big"] == pytest.approx(0.03 * 200 - 1.0)


def test_an_open_complaint_gets_service_first_and_never_a_coupon(make_offer):
    people = pa.table({"customer_id": ["c0"], "owed_service": [True]})
    coupon = make_offer("coupon")
    call = make_offer("call", kind="service", channel="call", effect=0.02)
    both, one = Offers((coupon, call), "c"), Offers((coupon,), "c")
    scores = _scores(_average(2))
    assert _plan_of(both, scores, people=people).table["offer_id"].to_pylist() == ["call", "coupon"]
    assert _plan_of(one, scores, people=people).table["suppression"].to_pylist() == [
        "service_first",
        None,
    ]


def test_measured_effects_count_at_their_mean_and_are_called_measured(make_offer):
    catalogue = Offers((make_offer("sure", effect=0.03), make_offer("maybe", effect=0.03)), "c")
    shape = (3, 2)
    measured = Effects(
        mean=np.tile([0.02, 0.05], (3, 1)),
        low=np.tile([0.015, 0.001], (3, 1)),
        high=np.full(shape, 0.1),
        source=("measured", "measured"),
    )
    plan = _plan_of(catalogue, _scores(_average(3)), measured=measured)
    row = plan.table.to_pylist()[0]
    assert (row["offer_id"], row["effect_source"]) == ("maybe", "measured")
    assert (row["effect"], row["effect_low"]) == (0.05, 0.001)
    unlimited = plan.summary["value_curve"][-1]
    for total in ("expected_cost", "expected_value"):
        assert unlimited[total] == pytest.approx(plan.summary[total])


def test_a_cap_on_a_group_is_kept_and_no_group_changes_what_an_offer_is_worth(offers):
    scores = _scores(_average(40))
    region = ["north"] * 20 + ["south"] * 20
    people = pa.table({"customer_id": scores["customer_id"], "group": region})
    rules = GroupRules(by="region", caps={"north": 0.25})
    capped = _plan_of(offers, scores, people=people, groups=rules)
    north, south = capped.summary["groups"]
    assert (north["offered"], south["offered"]) == (5, 20)
    free = _plan_of(offers, scores).table
    same = pc.equal(capped.table["offer_id"], free["offer_id"])
    assert capped.table.filter(same)["expected_value"].equals(free.filter(same)["expected_value"])


@pytest.mark.parametrize("cap", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("explore", [0.1, 0.6, 1.0])
def test_exploration_keeps_the_cap_of_a_group_too(offers, cap, explore):
    scores = _scores(_average(400))
    region = ["north"] * 200 + ["south"] * 200
    people = pa.table({"customer_id": scores["customer_id"], "group": region})
    rules = GroupRules(by="region", caps={"north": cap})
    shares = Shares(holdout=0.1, explore=explore)
    found = _plan_of(offers, scores, people=people, groups=rules, shares=shares)
    north, south = found.summary["groups"]
    assert north["offered"] <= cap * 200
    assert south["offered"] > 0.5 * 200
    explored = found.summary["explore_share"]
    assert 0 < explored <= explore
    asked = 200 * 0.9 * explore * 2 / 3  # two of three lots are an offer
    assert (explored < explore) == (0 < 200 * cap < asked + 3 * asked**0.5)


def test_whose_group_gets_nothing_does_not_explore_and_is_certain_of_none(offers):
    scores = _scores(_average(100))
    people = pa.table({"customer_id": scores["customer_id"], "group": ["north", "south"] * 50})
    rules = GroupRules(by="region", caps={"north": 0.0})
    shares = Shares(holdout=0.1, explore=0.5)
    table = _plan_of(offers, scores, people=people, groups=rules, shares=shares).table
    north = table.take(list(range(0, 100, 2)))
    assert set(north["arm"].to_pylist()) == {"treatment", "holdout"}
    assert set(north["propensity"].to_pylist()) == {1.0}
    assert set(north["suppression"].to_pylist()) == {"capacity_exhausted", "holdout"}


@example([(0.0, 0.0, 0.0)], [("eligible", 2.2e-309, 1.0)])
@example([(0.0, 0.0, 0.1)], [("eligible", 1e-12, 1.0)])
@example([(0.0, 0.0, 0.1)], [("eligible", 1e-17, 1.0)])
@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.floats(0, 1), st.floats(-0.1, 0.3)), min_size=1, max_size=4
    ),
    customers,
)
@settings(max_examples=60, deadline=None)
def test_any_catalogue_gives_each_customer_the_offer_of_most_value_or_none(terms, rows):
    """Brute force, without a budget: equal to the best row by row, never a value at or below 0."""
    known = [*_average(10), *rows]
    catalogue = Offers(
        tuple(_any_offer(f"o{n}", *of_one) for n, of_one in enumerate(terms)), "random"
    )
    scores = _scores(known)
    table = _plan_of(catalogue, scores).table
    base = pc.mean(
        scores.filter(pc.equal(scores["status"], "eligible"))["churn_probability"]
    ).as_py()
    for row, (status, risk, at_risk) in zip(table.to_pylist(), known, strict=True):
        best = 0.0
        if status == "eligible" and risk is not None and at_risk is not None:
            stake = 0.0 if risk == 0 else at_risk / risk
            for offer in catalogue if math.isfinite(stake) else ():  # beyond it nothing is known
                odds = math.exp(-log_odds_shift(offer.effect, base_rate=base))
                effect = risk * (1 - risk) * (1 - odds) / (1 - risk + risk * odds)
                orders = (1 - risk + effect) / min(1 - base + offer.effect, 1.0)
                redeems = min(offer.redemption_rate * orders, 1.0)
                cost = redeems * offer.margin_amount + offer.contact_cost
                best = max(best, effect * stake - cost)
        assert row["expected_value"] == pytest.approx(max(best, 0.0), abs=1e-6)
        assert row["offer_id"] == "none" or row["expected_value"] > 0


def test_a_share_of_the_order_costs_each_customer_their_own(make_offer):
    """Who has no order yet is taken for a customer in the middle, whom no giant order moves."""
    catalogue = Offers((make_offer(margin_cost="10%", contact_cost=0.0),), "spring")
    amounts = pa.table(
        {"customer_id": ["c0", "c1", "x", "y"], "order_amount": [20.0, 60.0, 40.0, 1e9]}
    )
    found = _plan_of(catalogue, _scores(_average(3)), order_amounts=amounts)
    assert found.table["expected_cost"].to_pylist() == pytest.approx([0.2, 0.6, 0.5])
    assert found.summary["worst_cost"] == pytest.approx(2.0 + 6.0 + 5.0)
    budget = _plan_of(catalogue, _scores(_average(3)), order_amounts=amounts, budget=0.75)
    assert budget.summary["expected_cost"] <= 0.75


def test_a_share_of_the_order_without_orders_is_refused(make_offer):
    catalogue = Offers((make_offer(margin_cost="10%"),), "spring")
    with pytest.raises(ConfigError, match="needs order amounts"):
        _plan_of(catalogue, _scores(_average(3)))


def test_sure_things_and_lost_causes_get_no_paid_offer(offers):
    rows = [("eligible", 1e-4, 0.02), ("eligible", 0.9999, 200.0), *_average(3)]
    assert _plan_of(offers, _scores(rows)).table["suppression"].to_pylist()[:2] == [
        "value_not_positive",
        "value_not_positive",
    ]


def _any_offer(offer_id, margin_cost, redemption_rate, effect):
    return Offer(
        offer_id=offer_id,
        name=offer_id,
        kind="discount",
        channel="email",
        margin_cost=margin_cost,
        contact_cost=0.01,
        redemption_rate=redemption_rate,
        effect=min(effect, 0.05),  # what the lowest base rate of these customers leaves room for
        effect_low=-0.2,
        effect_high=0.5,
        cooldown_days=1,
        expires_after_days=1,
    )


def _plan_of(offers, scores, *, run_id="run-1", **changes):
    policy = {"budget": math.inf, "shares": Shares(holdout=0.0), "consent": "assumed"}
    policy = {name: changes.pop(name, default) for name, default in policy.items()}
    return assign_offers(
        scores,
        offers,
        OfferPolicy(
            **policy,
            groups=changes.pop("groups", None),
            remaining_life=changes.pop("remaining_life", RemainingLife()),
        ),
        CustomerFacts(**changes),
        as_of=date(2024, 2, 28),
        currency="USD",
        run_id=run_id,
    )


def _consents(*rows):
    names = ["customer_id", "channel", "purpose", "granted"]
    return pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
