"""An experiment is built from contacts and orders, and blind to what came after each contact."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from churn.errors import DataError
from churn.features.clock import FeatureClock
from churn.uplift.past_contacts import (
    AGAIN,
    NOT_NAMED,
    OBJECTED,
    OPEN,
    UNFIT,
    UNKNOWN,
    build_experiment,
)

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
SENT = datetime(2024, 3, 1, 9, tzinfo=UTC)
END = date(2024, 4, 15)
NAMES = ("recency_days", "purchase_days")


def orders(**days: list[int]) -> list[dict[str, Any]]:
    """Orders by customer, in days from the contact; money tells them apart."""
    return [
        {"customer_id": name, "ordered_at": SENT + timedelta(days=day), "amount": 10.0}
        for name, offsets in days.items()
        for day in offsets
    ]


def contact(name: str, offer: str | None = "coupon", **more: Any) -> dict[str, Any]:
    terms = {"contacted_at": SENT, "campaign_id": "spring", "arm": "treatment", "propensity": 0.5}
    return {"customer_id": name, "offer_id": offer} | terms | more


@pytest.fixture
def built(open_shop):
    def build(contacts, bought, **options):
        frame = pd.DataFrame(contacts)
        tables = open_shop(bought, contacts=frame)
        return build_experiment(tables, as_of=END, clock=CLOCK, names=NAMES, **options)

    return build


BOUGHT = orders(ann=[-20, 3], bob=[-10], cid=[-5, 40])
PAIR = [contact("ann"), contact("bob", arm="control")]


def test_a_row_holds_what_was_known_before_and_what_came_after(built):
    rows = built(PAIR, BOUGHT, margin_rate=0.3).rows.set_index("customer_id")
    assert rows["retained"].to_dict() == {"ann": 1.0, "bob": 0.0}
    assert rows["margin"].to_dict() == {"ann": pytest.approx(3.0), "bob": 0.0}
    assert rows["recency_days"].to_dict() == {"ann": 20.0, "bob": 10.0}
    assert rows["offer_id"].to_dict() == {"ann": "coupon", "bob": "none"}


def test_contacts_of_objectors_are_left_out_whenever_they_objected(open_shop):
    word = {"customer_id": "bob", "channel": "email", "purpose": "profiling", "granted": False}
    consents = pd.DataFrame([word | {"changed_at": SENT + timedelta(days=60)}])
    tables = open_shop(BOUGHT, contacts=pd.DataFrame(PAIR), consents=consents)
    data = build_experiment(tables, as_of=END, clock=CLOCK, names=NAMES)
    assert data.rows["customer_id"].tolist() == ["ann"]
    assert data.left_out == {OBJECTED: 1}


def test_features_do_not_see_the_day_of_the_contact_or_later(built):
    before = built(PAIR, BOUGHT).rows[list(NAMES)]
    later = built(PAIR, BOUGHT + orders(ann=[0, 1, 20], bob=[2])).rows[list(NAMES)]
    pd.testing.assert_frame_equal(before, later)


def test_controls_and_held_out_got_none_whatever_their_row_says(built):
    pair = [contact("ann"), contact("bob", arm="holdout", offer="coupon")]
    assert sorted(built(pair, BOUGHT).rows["offer_id"]) == ["coupon", "none"]


@pytest.mark.parametrize("propensity", [None, 0.0, 1.0])
def test_contacts_without_a_lot_are_observational_and_not_used(built, propensity):
    data = built([*PAIR, contact("cid", "gift", propensity=propensity)], BOUGHT)
    assert data.observational == {"gift": 1}
    assert set(data.rows["customer_id"]) == {"ann", "bob"}


def test_each_contact_that_is_left_out_has_a_reason(built):
    late = contact("cid", contacted_at=SENT + timedelta(days=30))
    extra = [
        late,
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


def test_a_lot_that_does_not_fit_its_propensities_is_left_out(built):
    names = [f"c{number}" for number in range(60)]
    wrong = [contact(name, propensity=0.02) for name in names]
    data = built([*PAIR, *(w | {"campaign_id": "odd"} for w in wrong)], BOUGHT)
    assert data.left_out == {UNFIT: 60}


def test_customers_with_other_offers_to_draw_from_are_in_lots_of_their_own(built):
    pair = [contact("ann", lot="members"), contact("bob", arm="control", lot="others")]
    data = built(pair, BOUGHT)
    assert sorted(data.rows["lot"]) == ["spring/members", "spring/others"]
    assert data.offers == ()


def test_contacts_must_be_connected(open_shop):
    with pytest.raises(DataError, match=r"Name its source in \[data.contacts\]"):
        build_experiment(open_shop(BOUGHT), as_of=END, clock=CLOCK)


def test_without_any_lot_the_experiment_is_empty(built):
    data = built([contact("ann", propensity=None)], BOUGHT)
    assert (len(data), data.offers, data.observational) == (0, (), {"coupon": 1})
