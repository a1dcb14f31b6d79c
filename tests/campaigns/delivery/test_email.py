"""Messages keep their content, and nothing can be injected into their headers."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.email import MAX_SUBJECT, compose, message_id
from churn.campaigns.delivery.mailbox import Mailbox
from churn.campaigns.delivery.templates import RenderedMessage
from churn.errors import ConfigError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINK = "https://shop.example/unsubscribe/" + "t" * 150


def composed(subject="Hello", text="Some text.\n", html="<p>Some text.</p>\n", **changes):
    parts = {
        "sender": Mailbox("Ann, Böd & Co", "news@shop.example"),
        "reply_to": None,
        "to": "jo@mail.example",
        "unsubscribe_url": LINK,
        "message_id": "<1@shop.example>",
        "at": NOON,
    }
    data = compose(RenderedMessage(subject, text, html), **{**parts, **changes})
    return data, message_from_bytes(data, policy=policy.SMTP)


def test_the_unsubscribe_headers_are_never_folded():
    data, message = composed()
    lines = data.split(b"\r\n")
    assert f"List-Unsubscribe: <{LINK}>".encode() in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    assert message["List-Unsubscribe"] == f"<{LINK}>"


def test_the_headers_have_sender_recipient_and_date():
    _, message = composed(reply_to=Mailbox("", "help@shop.example"))
    assert message["From"].addresses[0].display_name == "Ann, Böd & Co"
    assert message["From"].addresses[0].addr_spec == "news@shop.example"
    assert (message["To"], message["Reply-To"]) == ("jo@mail.example", "help@shop.example")
    assert message["Date"].datetime == NOON
    assert message["Message-ID"] == "<1@shop.example>"
    assert (message["Auto-Submitted"], message["Precedence"]) == ("auto-generated", "bulk")
    assert not message.defects


def test_text_comes_before_html_and_both_are_complete():
    _, message = composed(text="Größe: 5 €\n.\nlast\n", html="<p>Größe</p>\n")
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == "Größe: 5 €\n.\nlast\n"
    assert html.get_content().replace("\r\n", "\n") == "<p>Größe</p>\n"


@given(
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=150)
)
def test_any_printable_subject_survives_encoding(subject):
    data, message = composed(subject)
    assert message["Subject"] == subject.replace("=?", "= ?")
    assert max(map(len, data.split(b"\r\n"))) < 998
    assert set(message.keys()) == HEADERS


HEADERS = {
    *("List-Unsubscribe", "List-Unsubscribe-Post", "From", "To", "Subject", "Date", "Message-ID"),
    *("Auto-Submitted", "Precedence", "MIME-Version", "Content-Type"),
}


@pytest.mark.parametrize(
    "subject", ["", "a\r\nBcc: li@mail.example", "a\nb", "a\0b", "a" * (MAX_SUBJECT + 1)]
)
def test_an_invalid_subject_is_refused(subject):
    with pytest.raises(ConfigError, match=r"a subject must be one line.*block `subject`"):
        composed(subject)


INJECTIONS = [
    "=?utf-8?q?5_euros=0aReply-To:_evil@x.example=0a=0a<b>body</b>?=",
    "=?utf-8?b?NQ0KQmNjOiBldmlsQHguZXhhbXBsZQ0KDQpib2R5?=",
    "5 =?us-ascii?Q?a=0D=0ABcc:_evil@x.example?= =?utf-8?q?=0d=0a?=",
    "a==?utf-8?q?=0a?=",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_encoded_words_cannot_inject_headers(text):
    """CVE-2024-6923: the library decodes them, including line breaks."""
    sender, reply = Mailbox(text, "news@shop.example"), Mailbox(text, "help@shop.example")
    data, message = composed(text, sender=sender, reply_to=reply)
    assert set(message.keys()) == HEADERS | {"Reply-To"}
    assert len(message.keys()) == len(HEADERS) + 1
    assert not {"\n", "\r"} & set("".join([message["Subject"], message["From"]]))
    assert b"evil" not in data.partition(b"\r\n\r\n")[2]
    addresses = [address.addr_spec for address in message["Reply-To"].addresses]
    assert addresses == ["help@shop.example"]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_line_breaks_in_subject_or_sender_are_refused(end):
    with pytest.raises(ConfigError, match="a subject must be one line"):
        composed(f"5 euros{end}Bcc: evil@x.example")
    with pytest.raises(ConfigError, match="sender must be one e-mail address"):
        Mailbox.parse(f"Shop{end}Bcc: e@x.example <news@shop.example>", what="sender")


def test_a_message_with_an_unexpected_header_is_refused(monkeypatch):
    """The final check, in case a library lets something through that passed the others."""
    written = EmailMessage.as_bytes
    for line in (b"Bcc: evil@x.example\r\n", b"Subject: two\r\n", b" a\nb: c\r\n"):
        monkeypatch.setattr(EmailMessage, "as_bytes", lambda self, line=line: line + written(self))
        with pytest.raises(ConfigError, match="no headers other than those set by churn"):
            composed()


def test_the_message_id_is_stable_and_does_not_reveal_the_token():
    assert message_id("token", "shop.example") == message_id("token", "shop.example")
    assert message_id("token", "shop.example") != message_id("other", "shop.example")
    assert "token" not in message_id("token", "shop.example")
