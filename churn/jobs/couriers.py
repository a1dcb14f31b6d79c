"""The ways to send, as the settings describe them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from churn.config import Settings
from churn.errors import ConfigError
from churn.retention.delivery.dispatch import Clock
from churn.retention.delivery.parcels import Courier, Outgoing
from churn.retention.delivery.postman import Postman, Writer
from churn.retention.delivery.settings import EmailSettings
from churn.retention.delivery.smtp import MailServer
from churn.retention.delivery.templates import Templates
from churn.retention.delivery.webhook import Webhook
from churn.retention.offers import Offers

__all__ = [
    "EMAIL",
    "PLACEHOLDER_ADDRESS",
    "WAYS",
    "WEBHOOK",
    "EmailWay",
    "WebhookWay",
    "first_of_each_offer",
    "way",
]

EMAIL, WEBHOOK = "email", "webhook"
WAYS = (EMAIL, WEBHOOK)


PLACEHOLDER = EmailSettings(
    sender="Your Shop <news@your-shop.example>",
    unsubscribe_url="https://your-shop.example/unsubscribe",
    shop="Your Shop",
    address="your postal address",
)
"""Who speaks in a preview before [delivery.email] says so."""
PLACEHOLDER_ADDRESS = "customer@your-shop.example"


class EmailWay:
    """E-mail through the server of `[delivery.email]`: each message by itself."""

    through = EMAIL
    channel: str | None = EMAIL
    batch = 1

    def __init__(self, settings: Settings, *, dry_run: bool = False) -> None:
        email = settings.delivery.email
        self.placeholder = email is None
        if dry_run:
            email = email or PLACEHOLDER
        if email is None or not (email.host or dry_run):
            rule = "sending e-mail needs a mail server, [delivery.email] host"
            raise ConfigError(rule, fix="Name host, sender, shop, address and unsubscribe_url.")
        folder = None if email.templates is None else settings.path(email.templates)
        offers = Offers.load(settings.path(settings.offers.catalogue))
        self.writer = Writer(
            email,
            Templates(email.language, folder=folder),
            {offer.offer_id: offer for offer in offers},
            agreed=settings.offers.consent == "required",
        )
        self.ca_file: Path | None = None if email.ca_file is None else settings.path(email.ca_file)
        self.attempts = email.attempts
        self.per_minute = email.messages_per_minute

    def check(self, outgoing: Sequence[Outgoing]) -> None:
        """Writes the first message of each offer."""
        for one in first_of_each_offer(outgoing):
            self.writer.mail(one, at=Clock().now())

    def courier(self, clock: Clock) -> Courier:
        """A postman, who connects when there is something to send."""
        server = MailServer(self.writer.settings, ca_file=self.ca_file, sleep=clock.sleep)
        return Postman(self.writer, server, now=clock.now)


class WebhookWay:
    """Batches to the address of `[delivery.webhook]`, offers of every channel."""

    through = WEBHOOK
    placeholder = False
    channel: str | None = None
    attempts = 1  # a batch is posted again by the courier itself, under its own id
    per_minute: int | None = None

    def __init__(self, settings: Settings) -> None:
        webhook = settings.delivery.webhook
        if webhook is None:
            rule = "sending to a webhook needs the section [delivery.webhook]"
            raise ConfigError(rule, fix="Name url and secret.")
        self.settings = webhook
        self.batch = webhook.batch

    def check(self, outgoing: Sequence[Outgoing]) -> None:
        """Nothing: rows of a list need no writing."""

    def courier(self, clock: Clock) -> Courier:
        """Who posts."""
        return Webhook(self.settings, clock=clock)


def way(name: str, settings: Settings, *, dry_run: bool = False) -> EmailWay | WebhookWay:
    """The way of that name; ConfigError where there is none, or its section is missing. A `dry_run`
    by e-mail needs neither the section nor a server.
    """
    if name not in WAYS:
        rule = f"--through must be one of {', '.join(WAYS)}"
        raise ConfigError(rule, got=name, fix="Name one of them.")
    return EmailWay(settings, dry_run=dry_run) if name == EMAIL else WebhookWay(settings)


def first_of_each_offer(outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    """One message for each offer among them."""
    return list({one.message.offer_id: one for one in reversed(outgoing)}.values())[::-1]
