"""Audiences contain only hashes, in the published format of each platform."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.audiences import (
    AUDIENCES,
    check_region,
    e164,
    gmail_folded,
    hashed_audience,
    sha256_hex,
    spaceless_email,
    trimmed_email,
)
from churn.campaigns.delivery.deliverable import Deliverable
from churn.errors import ConfigError

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_examples_published_by_meta():
    """Meta, "Customer information parameters": em and ph."""
    meta = AUDIENCES["meta"]
    assert meta.hashed_email("John_Smith@gmail.com") == (
        "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
    )
    assert meta.hashed_phone("(650)555-1212", region="US") == (
        "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"
    )


def test_the_examples_published_by_google():
    """Google, Data Manager API, "Format user data"."""
    google = AUDIENCES["google-data-manager"]
    assert gmail_folded("cloudy.sanfrancisco+shopping@gmail.com") == "cloudysanfrancisco@gmail.com"
    assert gmail_folded("user.name+NYC@Example.com") == "user.name+nyc@example.com"
    assert e164("(800)555-0100", region="US") == "+18005550100"
    assert google.hashed_email("cloudy.sanfrancisco+shopping@gmail.com") == (
        "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4"
    )
    assert google.hashed_phone("(800)555-0100", region="US") == sha256_hex("+18005550100")


def test_customer_match_keeps_gmail_dots_and_the_plus_of_a_number():
    google = AUDIENCES["google-ads"]
    assert google.hashed_email(" A.B+c @GMail.com") == sha256_hex("a.b+c@gmail.com")
    assert google.hashed_phone("+49 (175) 123 4567", region=None) == sha256_hex("+491751234567")


def test_googlemail_addresses_are_folded_and_keep_their_domain():
    assert gmail_folded("A.B@GoogleMail.com") == "ab@googlemail.com"


def test_spaces_inside_an_address_are_removed_only_for_google():
    assert spaceless_email(" a b@x.org ") == "ab@x.org"
    assert trimmed_email(" a b@x.org ") == "a b@x.org"


@pytest.mark.parametrize("text", ["", " ", "@", "a@", "@x.org", "nobody", "a@b@c"])
def test_invalid_addresses_have_no_hash(text):
    assert [kind.hashed_email(text) for kind in AUDIENCES.values()] == [None] * 3


@pytest.mark.parametrize("text", ["...@gmail.com", "+list@gmail.com"])
def test_an_address_that_folds_to_nothing_has_no_hash(text):
    assert AUDIENCES["google-data-manager"].hashed_email(text) is None


@pytest.mark.parametrize("text", ["", "+", "12", "call me", "+1 2", "0175 1234567"])
def test_invalid_numbers_and_numbers_without_country_have_no_hash(text):
    hashes = [kind.hashed_phone(text, region=None) for kind in AUDIENCES.values()]
    assert hashes == [None] * 3


def test_the_region_completes_national_numbers():
    assert e164("0175 1234567", region="DE") == "+491751234567"
    assert e164("+1 650 555 1212", region="DE") == "+16505551212"


def test_empty_identifiers_are_not_hashed():
    assert sha256_hex("") is None
    assert sha256_hex(None) is None
    kinds = AUDIENCES.values()
    assert {k.hashed_email(None) for k in kinds} == {None}
    assert {k.hashed_phone(None, region="US") for k in kinds} == {None}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_gives_a_hash_or_none(text):
    for kind in AUDIENCES.values():
        for value in (kind.hashed_email(text), kind.hashed_phone(text, region="US")):
            assert value is None or re.fullmatch("[0-9a-f]{64}", value)
            assert value != EMPTY


@given(st.emails())
def test_case_and_surrounding_spaces_do_not_change_a_hash(address):
    shown = address.upper().lower()
    for kind in AUDIENCES.values():
        assert kind.hashed_email(f" {shown.upper()}\n") == kind.hashed_email(shown.upper().lower())


def test_an_unknown_region_is_refused():
    check_region(None)
    check_region("DE")
    with pytest.raises(ConfigError, match=r'phone_region .* got QQ\. Write e\.g\. "US"'):
        check_region("QQ")


customers = st.lists(
    st.tuples(
        st.none() | st.emails(), st.none() | st.from_regex(r"\+1650555[0-9]{4}", fullmatch=True)
    ),
    max_size=12,
)


@given(customers, st.sampled_from(sorted(AUDIENCES)))
def test_an_audience_has_only_hashes_and_everyone_is_counted(customers, name):
    ids = [f"customer {number}" for number in range(len(customers))]
    sent = Deliverable(pa.table({"customer_id": pa.array(ids, pa.string())}), {"objected": 3})
    addresses = pa.table(
        {
            "customer_id": pa.array(ids, pa.string()),
            "email": pa.array([email for email, _ in customers], pa.string()),
            "phone": pa.array([phone for _, phone in customers], pa.string()),
        }
    )
    hashed = hashed_audience(sent, addresses, AUDIENCES[name], phone_region=None)
    rows = hashed.table.to_pylist()
    cells = [cell for row in rows for cell in row.values() if cell is not None]
    raw = {value for customer in customers for value in customer if value} | set(ids)
    assert all(len(cell) == 64 and set(cell) <= set("0123456789abcdef") for cell in cells)
    assert not raw & set(cells)
    assert len(rows) + sum(hashed.left_out.values()) == len(customers) + 3
    assert len(rows) == len({tuple(row.values()) for row in rows})


def test_the_columns_are_those_of_each_platform():
    sent = Deliverable(pa.table({"customer_id": ["a"]}), {})
    addresses = pa.table({"customer_id": ["a"], "email": ["a@x.org"], "phone": ["+16505551212"]})
    columns = {
        name: hashed_audience(sent, addresses, kind, phone_region=None).table.column_names
        for name, kind in AUDIENCES.items()
    }
    assert columns == {
        "google-ads": ["Email", "Phone"],
        "google-data-manager": ["email_address", "phone_number"],
        "meta": ["email", "phone"],
    }


def test_a_customer_without_addresses_is_counted_as_without_identifier():
    sent = Deliverable(pa.table({"customer_id": ["a", "b"]}), {})
    addresses = pa.table(
        {"customer_id": ["a"], "email": ["a@x.org"], "phone": pa.nulls(1, pa.string())}
    )
    hashed = hashed_audience(sent, addresses, AUDIENCES["meta"], phone_region=None)
    assert hashed.table.num_rows == 1
    assert hashed.left_out == {"no_identifier": 1}
