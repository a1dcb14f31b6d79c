"""E-mail: rendered from templates, composed, and sent to the mail server one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Any

from churn.campaigns.delivery.mailbox import Mailbox, checked_address
from churn.campaigns.delivery.settings import EmailSettings
from churn.campaigns.delivery.smtp import MailServer
from churn.campaigns.delivery.templates import RenderedMessage, Templates, template_of
from churn.campaigns.delivery.transport import (
    Batch,
    Clock,
    Outcome,
    Outgoing,
    Recipient,
    Setup,
)
from churn.errors import ConfigError
from churn.offers.catalogue import Offer, Offers
from churn.scoring.language import load_language

MAX_SUBJECT = 200
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

PLACEHOLDER = EmailSettings(
    sender="Your Shop <news@your-shop.example>",
    unsubscribe_url="https://your-shop.example/unsubscribe",
    shop="Your Shop",
    address="your postal address",
)
"""The sender in previews without the section [delivery.email]."""

ADDRESS = Recipient(
    column="email",
    address="e-mail address",
    messages="e-mails",
    check=checked_address,
    placeholder="customer@your-shop.example",
)


def compose(
    letter: RenderedMessage,
    *,
    sender: Mailbox,
    reply_to: Mailbox | None,
    to: str,
    unsubscribe_url: str,
    message_id: str,
    at: datetime,
) -> bytes:
    """The message in wire format; `to` is an address accepted by `checked_address`.

    Raises ConfigError if the template produced an invalid subject.
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


def compose_notice(
    subject: str,
    text: str,
    html: str,
    *,
    sender: Mailbox,
    to: str,
    token: str,
    at: datetime,
) -> bytes:
    """A message to the shop's own people in wire format, without an unsubscribe link; `to` is an
    address accepted by `checked_address`.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(sender)
    message["To"] = to
    message["Subject"] = _plain(_checked_subject(subject))
    message["Date"] = at
    message["Message-ID"] = message_id(token, sender.domain)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return _checked_head(message.as_bytes())


def message_id(token: str, domain: str) -> str:
    """The Message-ID of a message: stable across retries, without revealing the token.

    >>> message_id("secret", "shop.example")
    '<2bb80d537b1da3e38bd30361aa855686@shop.example>'
    """
    return f"<{hashlib.sha256(token.encode()).hexdigest()[:32]}@{domain}>"


def _one_click(url: str) -> bytes:
    """Both headers verbatim: a folded or encoded address would be invalid."""
    lines = f"List-Unsubscribe: <{url}>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _address(mailbox: Mailbox) -> Address:
    return Address(display_name=_plain(mailbox.name), addr_spec=mailbox.address)


def _plain(text: str) -> str:
    """The text without encoded words (RFC 2047), which the library would decode into a header,
    including line breaks (CVE-2024-6923), as would mail clients.
    """
    return text.replace("=?", "= ?")


def _checked_head(message: bytes) -> bytes:
    """The message. Raises ConfigError unless it has exactly the expected headers, each once."""
    head = message.partition(b"\r\n\r\n")[0].decode("ascii", "replace")
    lines = head.split("\r\n")
    names = [line.partition(":")[0].lower() for line in lines if not line.startswith((" ", "\t"))]
    broken = any("\n" in line or "\r" in line for line in lines)
    if broken or not set(names) <= HEADERS or len(set(names)) < len(names):
        rule = "a message must have no headers other than those set by churn"
        raise ConfigError(rule, fix="Check the offer's name, the template and the sender.")
    return message


def _checked_subject(text: str) -> str:
    if text and text.isprintable() and len(text) <= MAX_SUBJECT:
        return text
    rule = f"a subject must be one line of 1 to {MAX_SUBJECT} characters"
    fix = "Fix the block `subject` of the template, or the offer's name."
    raise ConfigError(rule, got=f"{len(text)} characters", fix=fix)


@dataclass(frozen=True)
class Writer:
    """Renders the messages of a catalogue's offers; `agreed`: recipients have opted in, rather than
    only not opted out.
    """

    settings: EmailSettings
    templates: Templates
    offers: Mapping[str, Offer]
    agreed: bool = True

    def letter(self, outgoing: Outgoing) -> RenderedMessage:
        """The subject, text and HTML of one customer's message.

        Raises ConfigError if its template omits the unsubscribe link or the code, in text or HTML.
        """
        offer = self.offers[outgoing.message.offer_id]
        letter = self.templates.render(template_of(offer), self._values(offer, outgoing))
        self._check_contents(
            letter,
            template_of(offer),
            unsubscribe_url=self.unsubscribe_url(outgoing.message.token),
            code=outgoing.row["code"],
        )
        subject = offer.subject_in(self.settings.language)
        return letter if subject is None else replace(letter, subject=subject)

    def _check_contents(
        self, letter: RenderedMessage, template: str, **required: str | None
    ) -> None:
        for name, text in required.items():
            if text is None or (text in letter.text and escape(text) in letter.html):
                continue
            rule = f"the template {template!r} must contain {name} in text and HTML"
            raise ConfigError(rule, fix=f"Extend `layout`, or put {{{{ {name} }}}} into both.")

    def unsubscribe_url(self, token: str) -> str:
        """The unsubscribe link of the message with that token."""
        return f"{self.settings.unsubscribe_url.rstrip('/')}/{token}"

    def mail(self, outgoing: Outgoing, *, at: datetime) -> bytes:
        """The message in wire format."""
        sender = Mailbox.parse(self.settings.sender, what="sender")
        reply_to = self.settings.reply_to
        return compose(
            self.letter(outgoing),
            sender=sender,
            reply_to=None if reply_to is None else Mailbox.parse(reply_to, what="reply_to"),
            to=outgoing.address,
            unsubscribe_url=self.unsubscribe_url(outgoing.message.token),
            message_id=message_id(outgoing.message.token, sender.domain),
            at=at,
        )

    def _values(self, offer: Offer, outgoing: Outgoing) -> dict[str, Any]:
        """The variables of templates.

        The expiry of an offer is included if the offer gives something.
        """
        until = outgoing.row["expires_on"] if offer.gives_margin else None
        return {
            "shop": {
                "name": self.settings.shop,
                "address": self.settings.address,
                "url": self.settings.shop_url,
            },
            "offer": offer,
            "agreed": self.agreed,
            "code": outgoing.row["code"],
            "expires_on": None
            if until is None
            else load_language(self.settings.language).long_date(until),
            "products": list(outgoing.products),
            "link": offer.link or self.settings.shop_url,
            "unsubscribe_url": self.unsubscribe_url(outgoing.message.token),
        }


class EmailTransport:
    """The transport "email": each message individually, through the server of `[delivery.email]`.

    A dry run needs neither the section nor a server.
    """

    name = "email"
    channel: str | None = "email"
    recipient: Recipient | None = ADDRESS
    batch = 1

    def __init__(self, setup: Setup) -> None:
        self._given = setup.settings.email
        settings = self._given or (PLACEHOLDER if setup.dry_run else None)
        if settings is None or not (settings.host or setup.dry_run):
            rule = "sending e-mail needs a mail server, [delivery.email] host"
            raise ConfigError(rule, fix="Name host, sender, shop, address and unsubscribe_url.")
        templates = None if settings.templates is None else setup.folder / settings.templates
        self._ca_file = None if settings.ca_file is None else setup.folder / settings.ca_file
        self.writer = Writer(
            settings,
            Templates(settings.language, folder=templates),
            {offer.offer_id: offer for offer in Offers.load(setup.catalogue)},
            agreed=setup.agreed,
        )
        self.attempts = settings.attempts
        self.per_minute = settings.messages_per_minute

    def missing(self) -> Iterator[str]:
        """Sentences about the section and the server, if there is none."""
        if self._given is None:
            yield (
                "sender, shop, address and unsubscribe link are placeholders: a sending needs the "
                "section [delivery.email]"
            )
        elif self._given.host is None:
            yield "a sending needs a mail server: name [delivery.email] host"

    def render(self, outgoing: Outgoing) -> Mapping[str, bytes]:
        """The message as eml, html and txt."""
        letter = self.writer.letter(outgoing)
        return {
            "eml": self.writer.mail(outgoing, at=datetime.now(UTC)),
            "html": letter.html.encode(),
            "txt": letter.text.encode(),
        }

    def connect(self, clock: Clock) -> EmailConnection:
        """A connection to the mail server."""
        server = MailServer(self.writer.settings, ca_file=self._ca_file, sleep=clock.sleep)
        return EmailConnection(self.writer, server, now=clock.now)


class EmailConnection:
    """Renders messages and sends them to the mail server."""

    def __init__(
        self,
        writer: Writer,
        server: MailServer,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.writer = writer
        self.server = server
        self.now = now

    def send(self, batch: Batch) -> Outcome:
        """The outcome of the one message in the batch."""
        (outgoing,) = batch
        data = self.writer.mail(outgoing, at=self.now())
        sender = Mailbox.parse(self.writer.settings.sender, what="sender").address
        return self.server.send(data, sender=sender, to=outgoing.address)

    def close(self) -> None:
        """Closes the connection."""
        self.server.close()
