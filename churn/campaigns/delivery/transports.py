"""The registered transports, and previews of their messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from churn.campaigns.delivery.email import EmailTransport
from churn.campaigns.delivery.transport import Outgoing, Setup, Transport
from churn.campaigns.delivery.webhook import WebhookTransport
from churn.errors import ConfigError
from churn.storage.files import storage_errors

TRANSPORTS: dict[str, Callable[[Setup], Transport]] = {
    EmailTransport.name: EmailTransport,
    WebhookTransport.name: WebhookTransport,
}
"""Every transport by its name; the section of its settings has the same name."""


def configured(name: str, setup: Setup) -> Transport:
    """The transport of that name; ConfigError if there is none, or its settings are missing."""
    if name not in TRANSPORTS:
        rule = f"--through must be one of {', '.join(TRANSPORTS)}"
        raise ConfigError(rule, got=name, fix="Name one of them.")
    return TRANSPORTS[name](setup)


def check_messages(transport: Transport, outgoing: Sequence[Outgoing]) -> None:
    """Renders the first message of each offer; raises ConfigError if one cannot be rendered."""
    for one in _first_of_each_offer(outgoing):
        transport.render(one)


def write_preview(
    folder: Path, transport: Transport, outgoing: Sequence[Outgoing]
) -> tuple[Path, ...]:
    """The paths of the files with each offer's first message, such as OFFER.html, in the folder.

    Their unsubscribe links lead nowhere, because the messages are not on record.
    """
    if transport.recipient is None:
        rule = "--preview is for messages that are rendered here, such as e-mail"
        raise ConfigError(rule, got=transport.name, fix="Pass --dry-run instead.")
    with storage_errors(folder, doing="write"):
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for one in _first_of_each_offer(outgoing):
        for ending, content in transport.render(one).items():
            path = folder / f"{one.message.offer_id}.{ending}"
            with storage_errors(path, doing="write"):
                path.write_bytes(content)
            paths.append(path)
    return tuple(paths)


def _first_of_each_offer(outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    return list({one.message.offer_id: one for one in reversed(outgoing)}.values())[::-1]
