"""A flag is read in any case, with any spaces, in the words that shops use."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.words import NO_WORDS, YES_WORDS, bare_word, bare_word_sql, flag_sql


def read(text: str | None) -> bool | None:
    (row,) = duckdb.execute(
        f"SELECT {flag_sql('value')} FROM (SELECT ? AS value)", [text]
    ).fetchall()
    return row[0]


@pytest.mark.parametrize(
    "text",
    ["true", "TRUE ", " Yes", "y", "1", "1.0", "t", "ON", "Ja", "oui", "Sí", "granted", "Opted-In"],
)
def test_words_that_mean_yes_are_true(text):
    assert read(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "false",
        " FALSE",
        "No ",
        "n",
        "0",
        "0.00",
        "f",
        "off",
        "Nein",
        "non",
        "não",
        "opt_out",
        "Opt Out",
        "UNSUBSCRIBED",
        "revoked",
    ],
)
def test_words_that_mean_no_are_false(text):
    assert read(text) is False


@pytest.mark.parametrize(
    "text", [None, "", " ", "maybe", "2", "10", "pending", "NULL", "yes and no"]
)
def test_other_words_are_no_flag(text):
    assert read(text) is None


def test_no_word_means_yes_and_no():
    assert not YES_WORDS & NO_WORDS
    assert {bare_word(word) for word in YES_WORDS | NO_WORDS} == YES_WORDS | NO_WORDS


@given(
    st.sampled_from(sorted(YES_WORDS | NO_WORDS)),
    st.text(" \t_-.!'\"", max_size=3),
    st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_case_and_signs_around_a_word_change_nothing(word, signs, upper):
    dressed = "".join(c.upper() if up else c for c, up in zip(word, [*upper, *upper], strict=False))
    assert read(f"{signs}{dressed}{signs}") is (word in YES_WORDS)


@given(st.text("aZ019 .,-_éÑüÍöç€	", max_size=12))
def test_sql_and_python_find_the_same_bare_word(text):
    (row,) = duckdb.execute(f"SELECT {bare_word_sql('v')} FROM (SELECT ? AS v)", [text]).fetchall()
    assert row[0] == bare_word(text)
