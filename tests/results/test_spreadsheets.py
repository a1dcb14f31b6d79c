"""No text of a CSV file is executed as a formula, and every text can be restored."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.results.spreadsheets import begins_formula, guarded, unguarded

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe62\u207a\u2212"
UNSEEN = " \t\r\n\x00\u00a0\u00ad\u200b\u202e\u2066\u2028\u3000\ufeff\ufe0f\u3164\u2800"

texts = st.lists(
    st.none()
    | st.text(max_size=6)
    | st.text(f"{SIGNS}{UNSEEN}'ab1", max_size=6)
    | st.builds(
        "{}{}{}".format, st.text(UNSEEN + "'", max_size=4), st.sampled_from(SIGNS), st.text()
    ),
    min_size=1,
    max_size=8,
)


def is_unseen(sign):
    """Space, control, format character or mark, by Python's own tables, or a blank letter."""
    return unicodedata.category(sign)[0] in "ZCM" or sign in "\u115f\u1160\u3164\uffa0\u2800"


def runs(text):
    """The oracle: whether the first visible character, or a leading control, starts a formula."""
    visible = text
    while visible and is_unseen(visible[0]):
        visible = visible[1:]
    starts = visible != "" and visible[0] in SIGNS_OF_ORACLE
    return starts or text[:1] in ("\t", "\r", "\n", "\0")


SIGNS_OF_ORACLE = {
    chr(code)
    for code in range(0x10000)
    if unicodedata.normalize("NFKC", chr(code)) in ("=", "+", "-", "@", "\u2212")
    and unicodedata.category(chr(code))[0] != "C"
}


@given(texts)
def test_only_texts_that_would_start_a_formula_are_guarded(values):
    for before, after in zip(
        values, guarded(pa.array(values, pa.string())).to_pylist(), strict=True
    ):
        if before is None or not runs(before.lstrip("'")):
            assert after == before
        else:
            assert after == f"'{before}"
        assert after is None or not runs(after)


@given(texts)
def test_unguarded_inverts_guarded(values):
    assert unguarded(guarded(pa.array(values, pa.string()))).to_pylist() == values


@given(texts)
def test_guarding_keeps_distinct_texts_distinct(values):
    distinct = list(dict.fromkeys(values))
    written = guarded(pa.array(distinct, pa.string())).to_pylist()
    assert len(set(written)) == len(distinct)


@pytest.mark.parametrize("text", ["\ufe0f\u200b=1+1", "\n\n@x", "'=x", "\u2066+49", "''-1"])
def test_a_formula_after_invisible_characters_is_detected(text):
    assert begins_formula(pa.array([text])).to_pylist() == [True]
