"""One message of each offer as files to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from churn.errors import ConfigError
from churn.files.causes import storage_errors
from churn.jobs.couriers import EmailWay, WebhookWay, first_of_each_offer
from churn.retention.delivery.dispatch import Clock
from churn.retention.delivery.parcels import Outgoing

__all__ = ["write_preview"]


def write_preview(
    folder: Path, road: EmailWay | WebhookWay, outgoing: Sequence[Outgoing]
) -> tuple[Path, ...]:
    """The paths of OFFER.eml, OFFER.html and OFFER.txt in the folder, for each offer's first
    message. Their link to unsubscribe leads nowhere, for nothing of them is on record.
    """
    if not isinstance(road, EmailWay):
        raise ConfigError("--preview is for e-mail", fix="Take --dry-run with a webhook.")
    with storage_errors(folder, doing="write"):
        folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        path for one in first_of_each_offer(outgoing) for path in _written(folder, road, one)
    )


def _written(folder: Path, road: EmailWay, outgoing: Outgoing) -> list[Path]:
    letter = road.writer.letter(outgoing)
    contents = {
        "eml": road.writer.mail(outgoing, at=Clock().now()),
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
