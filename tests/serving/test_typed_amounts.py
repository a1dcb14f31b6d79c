"""Amounts as people type them, in English and in German notation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.serving.dashboard.typed_amounts import MAX_AMOUNT, amount_of, amount_text


@given(cents=st.integers(0, 10**11), thousands=st.sampled_from(["", ",", ".", " ", "\u202f"]))
def test_an_amount_is_read_in_both_notations(cents, thousands):
    english = f"{cents / 100:,.2f}"
    decimal = "," if thousands == "." else "."
    written = english.replace(".", "_").replace(",", thousands).replace("_", decimal)
    assert amount_of(written) == cents / 100


@given(whole=st.integers(0, 10**9), decimal=st.sampled_from([",", "."]), tenths=st.integers(0, 9))
def test_one_decimal_is_never_a_thousand(whole, decimal, tenths):
    assert amount_of(f"{whole}{decimal}{tenths}") == float(f"{whole}.{tenths}")


@pytest.mark.parametrize(
    "text",
    [
        *("", "abc", "--1", "1e3", "nan", "inf", "1,2345", "1.374,5,0", "12,34.5", "0.125"),
        *("1,23,456", "0,125", "1 000,50 EUR", "½", f"{MAX_AMOUNT:.0f}1", "1.000,000.00"),
    ],
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ConfigError, match="two decimals"):
        amount_of(text)


def test_less_than_the_least_is_refused():
    assert amount_of("-12,50") == -12.5
    with pytest.raises(ConfigError, match="at least 0 "):
        amount_of("-12,50", least=0.0)


@given(st.integers(-(10**13), 10**13))
def test_what_a_form_shows_is_read_as_the_same_amount(cents):
    assert amount_of(amount_text(cents / 100)) == cents / 100
