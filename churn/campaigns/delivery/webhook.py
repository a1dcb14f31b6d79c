"""Batches of the list, posted as JSON and signed according to Standard Webhooks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from churn.campaigns.delivery import interrupts
from churn.campaigns.delivery.planned import LIST_COLUMNS
from churn.campaigns.delivery.settings import WebhookSettings, key_of, signature
from churn.campaigns.delivery.transport import (
    Batch,
    Clock,
    Deadline,
    Outcome,
    Outgoing,
    Recipient,
    Setup,
    watched,
)
from churn.errors import ConfigError

EVENT = "offers.planned"
MAX_WAIT_SECONDS = 120.0
ANSWER_TIMEOUTS = 3  # a slow reply may take this many timeouts in total
UNREACHED = 0
_CONFIGURATION = (401, 403, 404, 405, 410)
"""Status codes about the address or the secret rather than the batch: no batch would succeed."""


class WebhookTransport:
    """The transport "webhook": batches of rows of the list, of offers of every channel."""

    name = "webhook"
    channel: str | None = None
    recipient: Recipient | None = None
    attempts = 1  # the connection posts a batch again itself, under the same id
    per_minute: int | None = None

    def __init__(self, setup: Setup) -> None:
        if setup.settings.webhook is None:
            rule = "sending to a webhook needs the section [delivery.webhook]"
            raise ConfigError(rule, fix="Name url and secret.")
        self.settings = setup.settings.webhook
        self.batch = self.settings.batch

    def missing(self) -> Iterable[str]:
        """Nothing: without its section there is no transport."""
        return ()

    def render(self, outgoing: Outgoing) -> Mapping[str, bytes]:
        """Nothing: the receiver writes the messages."""
        return {}

    def connect(self, clock: Clock) -> WebhookConnection:
        """A connection to the address of `[delivery.webhook]`."""
        return WebhookConnection(self.settings, clock=clock)


class WebhookConnection:
    """Posts batches to a webhook.

    The id of a batch is stable across retries, so that a receiver can detect duplicates. 5xx, 429
    and silence are retried with exponential backoff and jitter, or after `Retry-After`; any other
    reply is final. Redirects are not followed.
    """

    def __init__(
        self, settings: WebhookSettings, *, clock: Clock | None = None, seed: int | None = None
    ) -> None:
        from urllib3 import Timeout, connection_from_url
        from urllib3.util import parse_url

        self.settings = settings
        self.clock = clock or Clock()
        self._key = key_of(settings.secret)
        self._chance = random.Random(seed)  # noqa: S311 - jitter, not a secret
        address = parse_url(settings.url)
        self._path, self._host = address.request_uri, address.netloc
        self._pool = connection_from_url(
            settings.url, timeout=Timeout(settings.timeout_seconds), retries=False
        )
        self._deadline = Deadline(ANSWER_TIMEOUTS * settings.timeout_seconds)
        self._pool.ConnectionCls = watched(self._pool.ConnectionCls, self._deadline)

    def send(self, batch: Batch) -> Outcome:
        """The outcome of the batch: "unknown" if it was sent and no reply ever came."""
        return self.post(batch[0].message.parcel, body_of(batch, at=self.clock.now()))

    def post(self, message_id: str, body: bytes) -> Outcome:
        """The outcome of any JSON body, posted under an id that is stable across retries."""
        silent = False
        for attempt in range(self.settings.retries + 1):
            status, after = self._post(message_id, body)
            silent |= status is None
            outcome = _outcome(status)
            if outcome is not None:
                return outcome
            if attempt < self.settings.retries:
                self.clock.sleep(after if after is not None else self._pause(attempt))
            if interrupts.pending():
                break
        cause = {None: "no answer", UNREACHED: f"no connection to {self._host}"}.get(
            status, str(status)
        )
        return Outcome("unknown" if silent else "waiting", cause, stop=True)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def _post(self, message_id: str, body: bytes) -> tuple[int | None, float | None]:
        """The status of the reply and the requested wait; the status is None without a reply, and
        `UNREACHED` if the request was not delivered.
        """
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

        timestamp = int(self.clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "churn",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(
                self._key, message_id=message_id, timestamp=timestamp, body=body
            ),
        }
        try:
            with self._deadline.running():
                reply = self._pool.request(
                    "POST",
                    self._path,
                    body=body,
                    headers=headers,
                    redirect=False,
                    preload_content=False,  # the body is not read
                )
        except (NewConnectionError, ConnectTimeoutError, SSLError):
            return UNREACHED, None
        except HTTPError:
            return None, None
        reply.close()
        return reply.status, _seconds(reply.headers.get("retry-after"))

    def _pause(self, attempt: int) -> float:
        """Seconds before the next attempt: 1, 2, 4 … and up to as much again."""
        return float(min(2.0**attempt, MAX_WAIT_SECONDS) * (1 + self._chance.random()))


def body_of(batch: Batch, *, at: datetime) -> bytes:
    """The JSON of a batch: the list's columns of each message only."""
    rows = [{name: _plain(outgoing.row, name) for name in LIST_COLUMNS} for outgoing in batch]
    payload = {"type": EVENT, "timestamp": at.isoformat(), "data": {"contacts": rows}}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(row: Mapping[str, Any], name: str) -> str | None:
    return None if row[name] is None else str(row[name])


def _outcome(status: int | None) -> Outcome | None:
    """The outcome of a status; None if the batch is to be posted again."""
    if status in (None, UNREACHED) or status == 429 or status >= 500:
        return None
    if 200 <= status < 300:
        return Outcome("sent")
    if status in _CONFIGURATION or status < 400:
        return Outcome("waiting", str(status), stop=True)
    return Outcome("failed", str(status))


def _seconds(text: str | None) -> float | None:
    """The wait in whole seconds of `Retry-After`, within a limit; None without one."""
    if text is None or not text.strip().isdecimal():
        return None
    return min(float(text), MAX_WAIT_SECONDS)
