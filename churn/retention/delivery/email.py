"""A letter as an e-mail: text and HTML, with the headers by which one click unsubscribes.

Sources: RFC 5322 (format), RFC 2369 (List-Unsubscribe), RFC 8058 (one click), RFC 3834
(Auto-Submitted). A signature by DKIM is the work of the mail server; RFC 8058 wants it to cover
both List-Unsubscribe headers.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from churn.errors import ConfigError
from churn.retention.delivery.mailbox import Mailbox
from churn.retention.delivery.templates import Letter

__all__ = ["LONGEST_SUBJECT", "compose", "message_id"]

LONGEST_SUBJECT = 200
HEADERS = frozenset(
    [
        "from",
        "to",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "precedence",
        "mime-version",
        "content-type",
    ]
)


def compose(
    letter: Letter,
    *,
    sender: Mailbox,
    reply_to: Mailbox | None,
    to: str,
    unsubscribe_url: str,
    message_id: str,
    at: datetime,
) -> bytes:
    """The message as it goes over the wire; `to` is an address that `checked_address` passed.

    ConfigError where the template made a subject that no header can hold.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(sender)
    message["To"] = to
    if reply_to is not None:
        message["Reply-To"] = _address(reply_to)
    message["Subject"] = _plain(_checked_subject(letter.subject))
    message["Date"] = at
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message["Precedence"] = "bulk"
    message.set_content(letter.text, cte="quoted-printable")
    message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return _one_click(unsubscribe_url) + _checked_head(message.as_bytes())


def message_id(token: str, domain: str) -> str:
    """The Message-ID of a message: the same each time it is tried, and it does not tell the token.

    >>> message_id("secret", "shop.example")
    '<2bb80d537b1da3e38bd30361aa855686@shop.example>'
    """
    return f"<{hashlib.sha256(token.encode()).hexdigest()[:32]}@{domain}>"


def _one_click(url: str) -> bytes:
    """Both headers as they are: an address that is folded or encoded is no address any more."""
    lines = f"List-Unsubscribe: <{url}>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _address(mailbox: Mailbox) -> Address:
    return Address(display_name=_plain(mailbox.name), addr_spec=mailbox.address)


def _plain(text: str) -> str:
    """The text without encoded words (RFC 2047): the library would decode them into a header, with
    line breaks and all (CVE-2024-6923), and mail programs would, too.
    """
    return text.replace("=?", "= ?")


def _checked_head(message: bytes) -> bytes:
    """The message itself; ConfigError unless its head has our headers alone, each once."""
    head = message.partition(b"\r\n\r\n")[0].decode("ascii", "replace")
    lines = head.split("\r\n")
    names = [line.partition(":")[0].lower() for line in lines if not line.startswith((" ", "\t"))]
    broken = any("\n" in line or "\r" in line for line in lines)
    if broken or not set(names) <= HEADERS or len(set(names)) < len(names):
        rule = "the head of a message must have no other lines than those of churn"
        raise ConfigError(rule, fix="Look at the offer's name, the template and the sender.")
    return message


def _checked_subject(text: str) -> str:
    if text and text.isprintable() and len(text) <= LONGEST_SUBJECT:
        return text
    rule = f"a subject must be one line of 1 to {LONGEST_SUBJECT} characters"
    fix = "Mend the block `subject` of the template, or the offer's name."
    raise ConfigError(rule, got=f"{len(text)} characters", fix=fix)
