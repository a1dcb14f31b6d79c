"""Experiments are built from contacts and orders, and never use what came after a contact."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import DataError
from churn.features.clock import FeatureClock
from churn.modeling.metrics import draws_of
from churn.uplift.experiment import (
    AGAIN,
    BY_PLAN,
    MAX_STANDARD_ERRORS,
    NOT_NAMED,
    OBJECTED,
    OPEN,
    UNFIT,
    UNKNOWN,
    ExperimentData,
    build_experiment,
    check_propensities,
    customer_codes,
    customer_folds,
    propensity_gap,
)


def experiment_of(*rows: tuple[str, str, str], propensity: float = 0.5) -> ExperimentData:
    columns = zip(*rows, strict=True)
    customer, lot, offer = (list(column) for column in columns)
    frame = pd.DataFrame({"customer_id": customer, "lot": lot, "offer_id": offer})
    return ExperimentData(
        frame.assign(propensity=propensity, retained=1.0, margin=0.0, x=1.0), ("x",), 28
    )


def test_an_offer_is_compared_only_in_choice_sets_with_held_out_customers():
    data = experiment_of(
        ("ann", "spring", "coupon"), ("bob", "spring", "none"), ("cid", "autumn", "gift")
    )
    assert data.offers == ("coupon",)
    assert data.in_choice_set("coupon").tolist() == [True, True, False]
    assert not data.in_choice_set("gift").any()


def test_arms_are_counted_in_distinct_customers():
    data = experiment_of(("ann", "a", "coupon"), ("ann", "b", "coupon"), ("bob", "a", "none"))
    everyone = np.ones(3, dtype=bool)
    assert data.customers_assigned("coupon", among=everyone) == 1


@pytest.mark.parametrize("propensity", [0.0, 1.0, float("nan")])
def test_rows_that_were_not_randomised_are_refused(propensity):
    with pytest.raises(DataError, match="Leave out contacts that were not randomised"):
        experiment_of(("ann", "spring", "coupon"), propensity=propensity)


def test_an_experiment_without_its_features_is_refused():
    rows = experiment_of(("ann", "spring", "coupon")).rows
    with pytest.raises(DataError, match=r"an experiment lacks column\(s\) \['y'\]"):
        ExperimentData(rows, ("x", "y"), 28)


customers = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40)


@given(customers, st.integers(2, 5), st.integers(0, 9))
def test_each_customer_is_in_one_fold_and_folds_differ_by_one_at_most(customer, folds, seed):
    fold = customer_folds(customer, folds, seed=seed)
    pairs = set(zip(customer, fold.tolist(), strict=True))
    assert len(pairs) == len(set(customer))
    sizes = np.bincount([number for _, number in pairs], minlength=folds)
    assert sizes.max() - sizes.min() <= 1


@given(customers, st.integers(0, 9))
def test_a_draw_has_as_many_customers_each_with_all_rows(customer, seed):
    codes = customer_codes(customer)
    for drawn in draws_of(codes, 3, seed):
        by_customer = {code: set(drawn[codes == code]) for code in set(codes.tolist())}
        assert all(len(times) == 1 for times in by_customer.values())
        assert sum(times.pop() for times in by_customer.values()) == len(set(customer))


def test_without_customers_there_are_no_draws():
    assert list(draws_of(customer_codes([]), 3, 1)) == []


CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
SENT = datetime(2024, 3, 1, 9, tzinfo=UTC)
END = date(2024, 4, 15)
NAMES = ("recency_days", "purchase_days")


def orders(**days: list[int]) -> list[dict[str, Any]]:
    """Orders by customer, in days from the contact."""
    return [
        {"customer_id": name, "ordered_at": SENT + timedelta(days=day), "amount": 10.0}
        for name, offsets in days.items()
        for day in offsets
    ]


def contact(name: str, offer: str | None = "coupon", **more: Any) -> dict[str, Any]:
    defaults = {
        "contacted_at": SENT,
        "campaign_id": "spring",
        "arm": "treatment",
        "propensity": 0.5,
    }
    return {"customer_id": name, "offer_id": offer} | defaults | more


@pytest.fixture
def built(open_shop):
    def build(contacts, bought, **options):
        frame = pd.DataFrame(contacts)
        tables = open_shop(bought, contacts=frame)
        return build_experiment(tables, as_of=END, clock=CLOCK, names=NAMES, **options)

    return build


BOUGHT = orders(ann=[-20, 3], bob=[-10], cid=[-5, 40])
PAIR = [contact("ann"), contact("bob", arm="control")]


def test_a_row_has_features_before_and_outcomes_after_the_contact(built):
    rows = built(PAIR, BOUGHT, margin_rate=0.3).rows.set_index("customer_id")
    assert rows["retained"].to_dict() == {"ann": 1.0, "bob": 0.0}
    assert rows["margin"].to_dict() == {"ann": pytest.approx(3.0), "bob": 0.0}
    assert rows["recency_days"].to_dict() == {"ann": 20.0, "bob": 10.0}
    assert rows["offer_id"].to_dict() == {"ann": "coupon", "bob": "none"}


PLANNED = pd.DataFrame(
    {
        "customer_id": ["ann", "bob"],
        "campaign_id": "Spring ",
        "as_of": SENT.date(),
        "offer_id": ["coupon", "none"],
        "arm": ["treatment", "holdout"],
        "propensity": 0.5,
        "lot": "coupon+none",
    }
)


def test_what_a_plan_assigned_counts_like_the_same_contacts(open_shop, built):
    tables = open_shop(BOUGHT)
    data = build_experiment(tables, as_of=END, clock=CLOCK, names=NAMES, assigned=PLANNED)
    same = [contact("ann", lot="coupon+none"), contact("bob", "none", lot="coupon+none")]
    pd.testing.assert_frame_equal(data.rows, built(same, BOUGHT).rows)
    assert data.by_plan == 2


def test_contacts_with_propensities_come_before_what_the_plan_of_the_campaign_assigned(built):
    other = PLANNED.assign(campaign_id="summer", customer_id=["cid", "bob"])
    data = built(PAIR, BOUGHT, assigned=pd.concat([PLANNED, other]))
    assert data.by_plan == 2
    assert data.rows["lot"].tolist() == ["spring"] * 2 + ["summer/coupon+none"] * 2


def test_contacts_without_propensities_give_way_to_the_plan_of_their_campaign(built):
    sent = [contact("ann", propensity=None), contact("cid", propensity=None, campaign_id="x")]
    data = built(sent, BOUGHT, assigned=PLANNED)
    assert sorted(data.rows["customer_id"]) == ["ann", "bob"]
    assert data.observational == {"coupon": 1}
    assert data.left_out == {BY_PLAN: 1}
    assert data.by_plan == 2


def test_a_plan_whose_horizon_is_not_over_does_not_count_yet(built):
    late = PLANNED.assign(campaign_id="summer", as_of=END - timedelta(days=10))
    data = built(PAIR, BOUGHT, assigned=late)
    assert data.by_plan == 0
    assert data.left_out == {OPEN: 2}


def test_contacts_of_objectors_are_left_out_whenever_they_objected(open_shop):
    refusal = {"customer_id": "bob", "channel": "email", "purpose": "profiling", "granted": False}
    consents = pd.DataFrame([refusal | {"changed_at": SENT + timedelta(days=60)}])
    tables = open_shop(BOUGHT, contacts=pd.DataFrame(PAIR), consents=consents)
    data = build_experiment(tables, as_of=END, clock=CLOCK, names=NAMES)
    assert data.rows["customer_id"].tolist() == ["ann"]
    assert data.left_out == {OBJECTED: 1}


@pytest.mark.parametrize(
    ("redemption", "expected"),
    [
        ({"redeemed_at": "2024-03-05"}, {"ann": 1.0, "bob": 0.0}),
        ({"redeemed_at": "2024-03-05", "offer_id": "coupon"}, {"ann": 1.0, "bob": 0.0}),
        ({"redeemed_at": "2024-03-05", "offer_id": "other"}, {"ann": 0.0, "bob": 0.0}),
        ({"redeemed_at": "2024-02-05"}, {"ann": 0.0, "bob": 0.0}),
        ({"redeemed_at": "2024-03-05", "customer_id": "bob"}, {"ann": 0.0, "bob": 0.0}),
    ],
)
def test_an_offer_is_redeemed_by_those_who_got_it_within_the_horizon(
    open_shop, redemption, expected
):
    redemptions = pd.DataFrame([{"customer_id": "ann"} | redemption])
    tables = open_shop(BOUGHT, contacts=pd.DataFrame(PAIR), redemptions=redemptions)
    data = build_experiment(tables, as_of=END, clock=CLOCK, names=NAMES)
    assert dict(zip(data.customer, data.redeemed, strict=True)) == expected


def test_features_ignore_the_day_of_the_contact_and_later(built):
    before = built(PAIR, BOUGHT).rows[list(NAMES)]
    later = built(PAIR, BOUGHT + orders(ann=[0, 1, 20], bob=[2])).rows[list(NAMES)]
    pd.testing.assert_frame_equal(before, later)


def test_the_offer_of_control_and_holdout_is_none_whatever_offer_id_says(built):
    pair = [contact("ann"), contact("bob", arm="holdout", offer="coupon")]
    assert sorted(built(pair, BOUGHT).rows["offer_id"]) == ["coupon", "none"]


@pytest.mark.parametrize("propensity", [None, 0.0, 1.0])
def test_contacts_that_were_not_randomised_are_observational_and_not_used(built, propensity):
    data = built([*PAIR, contact("cid", "gift", propensity=propensity)], BOUGHT)
    assert data.observational == {"gift": 1}
    assert set(data.rows["customer_id"]) == {"ann", "bob"}


def test_each_contact_that_is_left_out_has_a_reason(built):
    extra = [
        contact("cid", contacted_at=SENT + timedelta(days=30)),
        contact("cid", None, campaign_id="winter"),
        contact("ann", contacted_at=SENT + timedelta(days=1)),
        contact("dan", arm="control"),
    ]
    data = built([*PAIR, *extra], BOUGHT)
    assert data.left_out == {OPEN: 1, NOT_NAMED: 1, AGAIN: 1, UNKNOWN: 1}
    assert len(data) == 2


def test_the_first_contact_of_a_campaign_counts(built):
    again = contact("ann", "gift", contacted_at=SENT + timedelta(days=2))
    rows = built([again, *PAIR], BOUGHT).rows.set_index("customer_id")
    assert rows.loc["ann", "offer_id"] == "coupon"


def test_contacts_that_contradict_their_propensities_are_left_out(built):
    wrong = [contact(f"c{n}", propensity=0.02, campaign_id="odd") for n in range(60)]
    data = built([*PAIR, *wrong], BOUGHT)
    assert data.left_out == {UNFIT: 60}


def test_each_lot_of_a_campaign_is_a_choice_set_of_its_own(built):
    pair = [contact("ann", lot="members"), contact("bob", arm="control", lot="others")]
    data = built(pair, BOUGHT)
    assert sorted(data.rows["lot"]) == ["spring/members", "spring/others"]
    assert data.offers == ()


def test_contacts_must_be_connected(open_shop):
    with pytest.raises(DataError, match=r"Name its source in \[data.contacts\]"):
        build_experiment(open_shop(BOUGHT), as_of=END, clock=CLOCK)


def test_without_randomised_contacts_the_experiment_is_empty(built):
    data = built([contact("ann", propensity=None)], BOUGHT)
    assert (len(data), data.offers, data.observational) == (0, (), {"coupon": 1})


def contacts(
    lot: str, treated: int, held_out: int, propensity: tuple[float, float]
) -> pd.DataFrame:
    offer = ["coupon"] * treated + ["none"] * held_out
    propensities = [propensity[0]] * treated + [propensity[1]] * held_out
    return pd.DataFrame({"lot": lot, "offer_id": offer, "propensity": propensities})


def test_an_assignment_with_the_stated_propensities_passes():
    rng = np.random.default_rng(3)
    gaps = [propensity_gap(np.full(rng.binomial(500, 0.1), 0.1), 500) for _ in range(300)]
    assert np.mean(np.array(gaps) < 1.96) > 0.9
    assert max(gaps) < MAX_STANDARD_ERRORS


def test_an_assignment_with_other_propensities_is_left_out_and_counted():
    fair, unfair = contacts("a", 52, 48, (0.5, 0.5)), contacts("b", 90, 10, (0.5, 0.5))
    kept, left_out = check_propensities(pd.concat([fair, unfair]))
    assert set(kept["lot"]) == {"a"}
    assert left_out == 100


def test_propensities_of_the_arm_instead_of_the_offer_are_detected():
    """90 % are treated, half of them with each offer: each propensity is .45, not .9."""
    rows = contacts("a", 450, 100, (0.9, 0.1))
    gifts = rows[:450].assign(offer_id="gift")
    kept, left_out = check_propensities(pd.concat([rows, gifts]))
    assert (len(kept), left_out) == (0, 1_000)


def test_no_contacts_pass_the_check():
    kept, left_out = check_propensities(contacts("a", 0, 0, (0.5, 0.5)))
    assert (len(kept), left_out) == (0, 0)


def test_the_gap_is_in_standard_errors():
    assert propensity_gap(np.full(60, 0.5), 100) == pytest.approx((60 - 50) / np.sqrt(100 * 0.25))
