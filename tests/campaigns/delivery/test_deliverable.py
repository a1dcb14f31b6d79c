"""One message per address, and none if a customer with that address refuses."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.deliverable import Deliverable, addressed, refusers
from churn.campaigns.delivery.email import ADDRESS


def to(customers, emails, *, refused=(), contacted=()):
    """Addresses by customer, and the number of customers left out, by reason."""
    sent = Deliverable(pa.table({"customer_id": pa.array(customers, pa.string())}), {})
    listed = pa.table({"customer_id": list(emails), "email": list(emails.values())})
    kept, addresses = addressed(sent, listed, ADDRESS, refused=refused, contacted=contacted)
    return dict(zip(kept.table["customer_id"].to_pylist(), addresses, strict=True)), kept.left_out


def test_missing_and_invalid_addresses_are_counted():
    emails = {"anna": " Anna@A.example ", "ben": None, "cleo": "cleo", "dora": ""}
    assert to(["anna", "ben", "cleo", "dora", "eve"], emails) == (
        {"anna": "Anna@a.example"},
        {"no_address": 3, "bad_address": 1},
    )


def test_an_address_shared_by_two_customers_gets_one_message():
    emails = {"anna": "us@a.example", "ben": "US@A.example"}
    assert to(["anna", "ben"], emails) == ({"anna": "us@a.example"}, {"same_address": 1})


def test_an_address_contacted_for_another_customer_gets_no_second_message():
    emails = {"anna": "us@a.example", "ben": "us@a.example"}
    assert to(["anna"], emails, contacted=["ben"]) == ({}, {"same_address": 1})
    assert to(["anna", "ben"], emails, contacted=["ben"])[0] == {"ben": "us@a.example"}


def test_a_refusal_applies_to_all_customers_with_the_address():
    emails = {"anna": "us@a.example", "ben": "Us@a.example"}
    assert to(["anna"], emails, refused=["ben"]) == ({}, {"refused_address": 1})


def test_refusers_refuse_the_channel_or_profiling():
    rows = [
        ("anna", "email", "marketing", False),
        ("ben", "sms", "marketing", False),
        ("cleo", "web", "profiling", False),
        ("dora", "email", "marketing", True),
    ]
    columns = ("customer_id", "channel", "purpose", "granted")
    consents = pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True)))
    assert refusers(consents, "email") == {"anna", "cleo"}
    assert refusers(None, "email") == set()


CUSTOMERS = ["a", "b", "c", "d", "e"]
EMAILS = st.sampled_from([None, "x@a.example", "X@a.example", "y@a.example", "bad", "z@a.example"])


@given(
    st.fixed_dictionaries(dict.fromkeys(CUSTOMERS, EMAILS)),
    *[st.lists(st.sampled_from(CUSTOMERS), unique=True) for _ in range(3)],
)
def test_no_address_is_contacted_twice_or_against_a_refusal(emails, planned, refused, contacted):
    kept, left_out = to(planned, emails, refused=refused, contacted=contacted)
    lowered = [address.lower() for address in kept.values()]
    assert len(lowered) == len(set(lowered))
    closed = {emails[name].lower() for name in refused if emails[name]}
    assert not set(lowered) & closed
    done = {emails[name].lower() for name in contacted if emails[name] and name not in kept}
    assert not set(lowered) & done - {emails[n].lower() for n in contacted if n in kept}
    assert len(kept) + sum(left_out.values()) == len(planned)
