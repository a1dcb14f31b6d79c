"""Nobody is sent more than they allow, counted in any window of their days."""

import pyarrow as pa
import pytest
from contact_histories import OFFERS, often_enough
from hypothesis import given
from hypothesis import strategies as st

from churn.offers.frequency import contacts_made
from churn.offers.preferences import PreferenceMask

IDS = pa.chunked_array([["ann", "bob"]])


def preferences(*rows):
    """Rows of ann's: channel, kind, allowed, max_contacts, cap_days."""
    columns = list(zip(*rows, strict=True)) or [()] * 5
    types = [pa.string(), pa.string(), pa.bool_(), pa.float64(), pa.float64()]
    names = ["channel", "kind", "allowed", "max_contacts", "cap_days"]
    found = {n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)}
    return pa.table({"customer_id": pa.array(["ann"] * len(rows), pa.string())} | found)


def limit(channel, kind, most, days=28.0):
    return (channel, kind, None, most, days)


def contacts(*rows):
    names, offers, days = zip(*rows, strict=True)
    return pa.table(
        {
            "customer_id": names,
            "offer_id": pa.array(offers, pa.string()),
            "days_since": pa.array(days, pa.float64()),
        }
    )


@pytest.fixture
def enough(make_offer):
    """Preferences and contacts in; whether ann has had enough of the poll, and of the gift."""
    offers = [
        make_offer("poll", kind="survey"),
        make_offer("gift", kind="gift", channel="sms"),
    ]

    def look(limits, *sources):
        found = PreferenceMask.of(preferences(*limits), IDS, offers, contacts_made(*sources))
        assert not found.unwanted.any()
        assert not found.enough[1].any()
        return found.enough[0].tolist()

    return look


def test_contacts_are_counted_up_to_the_limit_and_no_longer_than_its_days(enough):
    made = contacts(("ann", "poll", 6.0), ("ann", "gift", 20.0), ("bob", "poll", 1.0))
    assert enough([limit("", "", 2.0)], made, None) == [True, True]
    assert enough([limit("", "", 2.0, 20.0)], made, None) == [False, False]
    assert enough([limit("", "", 3.0)], made, None) == [False, False]
    assert enough([limit("", "", 1.0, 6.0)], made, None) == [False, False]


def test_a_limit_for_a_channel_or_kind_counts_and_closes_its_own_offers(enough):
    made = contacts(("ann", "poll", 6.0))
    assert enough([limit("email", "", 1.0)], made, None) == [True, False]
    assert enough([limit("", "gift", 1.0)], made, None) == [False, False]
    assert enough([limit("sms", "", 1.0), limit("", "survey", 1.0)], made, None) == [True, False]


def test_contacts_for_offers_that_the_catalogue_does_not_hold_count_for_every_limit(enough):
    made = contacts(("ann", None, 6.0), ("ann", "of last year", 7.0))
    assert enough([limit("email", "", 2.0), limit("", "gift", 2.0)], made, None) == [True, True]


limits = st.dictionaries(
    st.tuples(st.sampled_from(["", "email", "sms"]), st.sampled_from(["", "survey", "gift"])),
    st.tuples(st.integers(1, 3), st.sampled_from([3.0, 20.0])),
)
made = st.lists(st.tuples(st.sampled_from(["poll", "gift", "old", None]), st.integers(1, 25)))


@given(limits, made)
def test_limits_close_what_an_oracle_counts_as_enough(make_offer, limits, made):
    set_by_ann = [limit(*at, float(most), days) for at, (most, days) in limits.items()]
    sent = contacts(*(("ann", offer, float(days)) for offer, days in made)) if made else None
    names = ["poll", "gift"]
    offers = [make_offer(n, channel=OFFERS[n][0], kind=OFFERS[n][1]) for n in names]
    found = PreferenceMask.of(preferences(*set_by_ann), IDS, offers, contacts_made(sent, None))
    ann = {"customer_id": "ann"}
    said = [
        ann | {"channel": c, "kind": k, "max_contacts": most, "cap_days": days, "at": -1}
        for (c, k), (most, days) in limits.items()
    ]
    history = {"preferences": [row | {"loaded": -1} for row in said]}
    rows = [ann | {"offer_id": offer, "days": days} for offer, days in made]
    expected = [often_enough("ann", *OFFERS[name], history, rows) for name in names]
    assert found.enough.tolist() == [expected, [False, False]]


def test_contacts_and_plans_are_added_up_and_none_is_no_contact(enough):
    once = contacts(("ann", "poll", 6.0), ("ann", "none", 3.0))
    assert enough([limit("", "", 2.0)], once, None) == [False, False]
    assert enough([limit("", "", 2.0)], once, contacts(("ann", "gift", 9.0))) == [True, True]
    named = once.append_column("campaign_id", [["spring", "spring"]])
    assert enough([limit("", "", 2.0)], named, named) == [False, False]
