"""Transports as the settings describe them, and previews of their messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from churn.campaigns.delivery.dispatch import Clock
from churn.campaigns.delivery.email import EmailTransport, Writer
from churn.campaigns.delivery.settings import EmailSettings
from churn.campaigns.delivery.smtp import MailServer
from churn.campaigns.delivery.templates import Templates
from churn.campaigns.delivery.transport import Outgoing, Transport
from churn.campaigns.delivery.webhook import WebhookTransport
from churn.config import Settings
from churn.errors import ConfigError
from churn.offers.catalogue import Offers
from churn.storage.os_errors import storage_errors

EMAIL, WEBHOOK = "email", "webhook"
TRANSPORTS = (EMAIL, WEBHOOK)


PLACEHOLDER = EmailSettings(
    sender="Your Shop <news@your-shop.example>",
    unsubscribe_url="https://your-shop.example/unsubscribe",
    shop="Your Shop",
    address="your postal address",
)
"""Who speaks in a preview before [delivery.email] says so."""
PLACEHOLDER_ADDRESS = "customer@your-shop.example"


class ConfiguredEmail:
    """E-mail through the server of `[delivery.email]`: each message by itself."""

    name = EMAIL
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

    def open(self, clock: Clock) -> Transport:
        """A transport that connects when there is something to send."""
        server = MailServer(self.writer.settings, ca_file=self.ca_file, sleep=clock.sleep)
        return EmailTransport(self.writer, server, now=clock.now)


class ConfiguredWebhook:
    """Batches to the address of `[delivery.webhook]`, offers of every channel."""

    name = WEBHOOK
    placeholder = False
    channel: str | None = None
    attempts = 1  # a batch is posted again by the transport itself, under its own id
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

    def open(self, clock: Clock) -> Transport:
        """A transport that posts batches."""
        return WebhookTransport(self.settings, clock=clock)


Configured = ConfiguredEmail | ConfiguredWebhook


def configured(name: str, settings: Settings, *, dry_run: bool = False) -> Configured:
    """The transport of that name; ConfigError where there is none, or its section is missing.

    A `dry_run` by e-mail needs neither the section nor a server.
    """
    if name not in TRANSPORTS:
        rule = f"--through must be one of {', '.join(TRANSPORTS)}"
        raise ConfigError(rule, got=name, fix="Name one of them.")
    if name == EMAIL:
        return ConfiguredEmail(settings, dry_run=dry_run)
    return ConfiguredWebhook(settings)


def first_of_each_offer(outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    """One message for each offer among them."""
    return list({one.message.offer_id: one for one in reversed(outgoing)}.values())[::-1]


def write_preview(
    folder: Path, transport: Configured, outgoing: Sequence[Outgoing]
) -> tuple[Path, ...]:
    """The paths of OFFER.eml, OFFER.html and OFFER.txt in the folder, for each offer's first
    message. Their link to unsubscribe leads nowhere, for nothing of them is on record.
    """
    if not isinstance(transport, ConfiguredEmail):
        raise ConfigError("--preview is for e-mail", fix="Take --dry-run with a webhook.")
    with storage_errors(folder, doing="write"):
        folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        path for one in first_of_each_offer(outgoing) for path in _written(folder, transport, one)
    )


def _written(folder: Path, transport: ConfiguredEmail, outgoing: Outgoing) -> list[Path]:
    letter = transport.writer.letter(outgoing)
    contents = {
        "eml": transport.writer.mail(outgoing, at=Clock().now()),
        "html": letter.html.encode(),
        "txt": letter.text.encode(),
    }
    paths = []
    for ending, content in contents.items():
        path = folder / f"{outgoing.message.offer_id}.{ending}"
        with storage_errors(path, doing="write"):
            path.write_bytes(content)
        paths.append(path)
    return paths
