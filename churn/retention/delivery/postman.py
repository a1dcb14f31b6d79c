"""Messages by e-mail: rendered, composed and handed to the mail server, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from typing import Any

from churn.errors import ConfigError
from churn.retention.delivery.email import compose, message_id
from churn.retention.delivery.mailbox import Mailbox
from churn.retention.delivery.parcels import Outcome, Outgoing, Parcel
from churn.retention.delivery.settings import EmailSettings
from churn.retention.delivery.smtp import MailServer
from churn.retention.delivery.templates import Letter, Templates, template_of
from churn.retention.offers import Offer
from churn.scoring.language import language

__all__ = ["Postman", "Writer"]


@dataclass(frozen=True)
class Writer:
    """Writes the letters of a catalogue's offers; `agreed` is whether who gets them said yes, and
    not only never no.
    """

    settings: EmailSettings
    templates: Templates
    offers: Mapping[str, Offer]
    agreed: bool = True

    def letter(self, outgoing: Outgoing) -> Letter:
        """The subject, text and HTML of one customer's message.

        ConfigError where its template leaves out the link to unsubscribe or the code, in either
        form.
        """
        offer = self.offers[outgoing.message.offer_id]
        letter = self.templates.render(template_of(offer), self._values(offer, outgoing))
        self._check_held(
            letter,
            template_of(offer),
            unsubscribe_url=self.unsubscribe_url(outgoing.message.token),
            code=outgoing.row["code"],
        )
        subject = offer.subject_in(self.settings.language)
        return letter if subject is None else replace(letter, subject=subject)

    def _check_held(self, letter: Letter, template: str, **wanted: str | None) -> None:
        for name, text in wanted.items():
            if text is None or (text in letter.text and escape(text) in letter.html):
                continue
            rule = f"the template {template!r} must hold {name} in text and HTML"
            raise ConfigError(rule, fix=f"Extend `layout`, or put {{{{ {name} }}}} into both.")

    def unsubscribe_url(self, token: str) -> str:
        """Where the message of that token is unsubscribed from."""
        return f"{self.settings.unsubscribe_url.rstrip('/')}/{token}"

    def mail(self, outgoing: Outgoing, *, at: datetime) -> bytes:
        """The message as it goes over the wire."""
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
        """What templates are given. The end of an offer is told where there is something to end."""
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
            else language(self.settings.language).long_day(until),
            "products": list(outgoing.products),
            "link": offer.link or self.settings.shop_url,
            "unsubscribe_url": self.unsubscribe_url(outgoing.message.token),
        }


class Postman:
    """The courier "email"."""

    through = "email"

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

    def deliver(self, parcel: Parcel) -> Outcome:
        """What became of the one message in the parcel."""
        (outgoing,) = parcel
        data = self.writer.mail(outgoing, at=self.now())
        sender = Mailbox.parse(self.writer.settings.sender, what="sender").address
        return self.server.send(data, sender=sender, to=outgoing.address)

    def close(self) -> None:
        """Ends the conversation with the server."""
        self.server.close()
