"""Accepted addresses are safe in headers and envelopes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.mailbox import Mailbox, checked_address
from churn.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("jo@shop.example", "jo@shop.example"),
        ("  Jo.Smith+news@Shop.Example ", "Jo.Smith+news@shop.example"),
        ("o'neil@shop.example", "o'neil@shop.example"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
    ],
)
def test_the_domain_of_an_address_is_lowercased(text, address):
    assert checked_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "@",
            "jo",
            "jo@",
            "@shop.example",
            "jo@localhost",
            "jo@shop..example",
            "jo@-a.example",
        ),
        *("jo smith@shop.example", '"jo"@shop.example', "jo@shop.example, li@shop.example"),
        *("jo@a@shop.example", "<jo@shop.example>", "jo@shop.example>", "jö@shop.example"),
        *("jo\r\nBcc: li@shop.example", "jo@shop.example\nBcc: li@a.example", "jo\0@shop.example"),
        *(".jo@shop.example", "jo.@shop.example", "j..o@shop.example", "jo@shop.example."),
        *(
            "a" * 65 + "@shop.example",
            "a@" + "b" * 64 + ".example",
            "a@" + "b.c" * 100 + ".example",
        ),
    ],
)
def test_invalid_addresses_are_none(text):
    assert checked_address(text) is None


@given(st.text(max_size=80))
def test_an_accepted_address_is_one_printable_word(text):
    address = checked_address(text)
    if address is not None:
        assert address.isascii()
        assert address.isprintable()
        assert not set(address) & set(' ,;:<>()[]\\"')
        assert address.count("@") == 1


def test_a_mailbox_may_have_a_name():
    assert Mailbox.parse("Ann, Böd & Co <a@shop.example>", what="it") == Mailbox(
        "Ann, Böd & Co", "a@shop.example"
    )
    assert Mailbox.parse("a@shop.example", what="it") == Mailbox("", "a@shop.example")
    assert Mailbox.parse("a@shop.example", what="it").domain == "shop.example"


@pytest.mark.parametrize(
    "text", ["", "Shop", "Shop <a@b>", "S <a@b.example> <c@d.example>", "S\n<a@b.example>"]
)
def test_an_invalid_mailbox_is_refused_with_its_setting(text):
    with pytest.raises(ConfigError, match=r"sender must be one e-mail address.*Corner Shop <news@"):
        Mailbox.parse(text, what="sender")
