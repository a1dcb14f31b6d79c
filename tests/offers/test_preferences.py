"""An offer is not wanted where a "no" is on it that no narrower "yes" lifts."""

import pyarrow as pa
import pytest
from contact_histories import is_wanted
from hypothesis import given
from hypothesis import strategies as st

from churn.offers.preferences import PreferenceBook, empty_preferences

IDS = pa.chunked_array([["ann", "bob"]])
NO, YES = False, True


def preferences(*rows):
    """Rows of ann's: channel, kind, allowed, max_contacts, cap_days."""
    columns = list(zip(*rows, strict=True)) or [()] * 5
    types = [pa.string(), pa.string(), pa.bool_(), pa.float64(), pa.float64()]
    names = ["channel", "kind", "allowed", "max_contacts", "cap_days"]
    found = {n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)}
    return pa.table({"customer_id": pa.array(["ann"] * len(rows), pa.string())} | found)


def word(channel, kind, allowed):
    return (channel, kind, allowed, None, 28.0)


def limit(channel, kind, most, days=28.0):
    return (channel, kind, None, most, days)


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        ([], False),
        ([("", "", NO)], True),
        ([("email", "", NO)], True),
        ([("", "survey", NO)], True),
        ([("sms", "", NO), ("", "gift", NO), ("sms", "survey", NO)], False),
        ([("", "", NO), ("email", "", YES)], False),
        ([("", "", NO), ("", "survey", YES)], False),
        ([("", "", NO), ("email", "survey", YES)], False),
        ([("", "", NO), ("", "gift", YES)], True),
        ([("email", "", NO), ("email", "survey", YES)], False),
        ([("email", "", NO), ("", "survey", YES)], True),
        ([("", "survey", NO), ("email", "", YES)], True),
        ([("email", "survey", NO), ("", "", YES), ("email", "", YES)], True),
        ([("", "", YES), ("email", "", NO)], True),
        ([("", "", None), ("email", "survey", None)], False),
    ],
)
def test_a_no_holds_unless_a_narrower_yes_lifts_it(words, unwanted):
    book = PreferenceBook.read(preferences(*(word(*said) for said in words)), IDS)
    assert book.unwanted("email", "survey").tolist() == [unwanted, False]


places = st.tuples(st.sampled_from(["", "email", "sms"]), st.sampled_from(["", "survey", "gift"]))


@given(st.dictionaries(places, st.sampled_from([None, True, False])))
def test_no_and_yes_weigh_as_an_oracle_weighs_them(words):
    book = PreferenceBook.read(preferences(*(word(*at, says) for at, says in words.items())), IDS)
    none = {"at": 0, "max_contacts": None}
    rows = [{"channel": c, "kind": k, "allowed": says} | none for (c, k), says in words.items()]
    for channel in ("email", "sms"):
        for kind in ("survey", "gift"):
            found = book.unwanted(channel, kind)[0]
            assert found == (not is_wanted(rows, channel, kind))


@pytest.mark.parametrize(
    ("said", "unwanted"),
    [(("email", "gift", NO), True), (("sms", "gift", NO), False), (("", "gift", YES), False)],
)
def test_of_an_offer_whose_kind_is_not_known_any_no_may_be_meant(said, unwanted):
    book = PreferenceBook.read(preferences(word(*said)), IDS)
    assert book.unwanted("email", None).tolist() == [unwanted, False]


def test_preferences_that_neither_allow_nor_limit_are_counted():
    known = preferences(word("", "", None), word("email", "", NO), limit("sms", "", 1.0))
    assert empty_preferences(known) == 1
    assert empty_preferences(preferences()) == 0
