"""The protocol of transports: messages and recipients, outcomes, and a deadline for slow peers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from churn.campaigns.delivery import interrupts
from churn.campaigns.delivery.settings import DeliverySettings
from churn.storage.messages import Message, State


@dataclass(frozen=True)
class Clock:
    """The current time, with its zone, and sleeping; tests pass their own."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = interrupts.sleep

    def wait_until(self, moment: datetime) -> None:
        """Waits until a future moment."""
        left = (moment - self.now()).total_seconds()
        if left > 0:
            self.sleep(left)


@dataclass(frozen=True)
class Outgoing:
    """A recorded message with its content: its row of the list, the recipient's address, empty if
    the transport needs none, and recommended products.
    """

    message: Message
    row: Mapping[str, Any]
    address: str = ""
    products: tuple[str, ...] = ()


Batch = Sequence[Outgoing]
"""Messages that are sent together, under one id; at least one."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a batch: "sent", "failed" permanently, "waiting" for a retry, or "unknown" if
    it was sent without a reply.

    `cause` is a code or a word, never text of the other side. `stop`: other batches of this run
    would fail as well.
    """

    state: State
    cause: str | None = None
    stop: bool = False


@dataclass(frozen=True)
class Recipient:
    """The address that messages go to: a `column` of the table of customers.

    `address` and `messages` are what texts call it and what is sent to it. `check` returns an
    address in the form in which it is used, None if it is invalid. `placeholder` is one for dry
    runs of a shop whose table lacks the column.
    """

    column: str
    address: str
    messages: str
    check: Callable[[str], str | None]
    placeholder: str

    def worded(self, text: str) -> str:
        """A text with `{address}`, `{messages}` and `{column}` filled in."""
        return text.format(address=self.address, messages=self.messages, column=self.column)


class Connection(Protocol):
    """Sends batches. An expected failure is an outcome, not an exception."""

    def send(self, batch: Batch) -> Outcome:
        """The outcome of the batch."""
        ...

    def close(self) -> None:
        """Closes the connection."""
        ...


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a transport is made from: its section among `settings`, and the shop around it.

    Relative paths start at `folder`; `catalogue` is the file of the offers. `agreed`: recipients
    have opted in, rather than only not opted out. A `dry_run` needs no complete section.
    """

    settings: DeliverySettings
    folder: Path
    catalogue: Path
    agreed: bool = True
    phone_region: str | None = None
    dry_run: bool = False


class Transport(Protocol):
    """A way to send messages, configured by the section `[delivery.<name>]`.

    It sends offers of its `channel`, or of every channel if that is None, to the address in the
    column of its `recipient`, or to a receiver who knows the customers if that is None. `batch` is
    the number of messages that are sent together, `attempts` how often a batch is tried in a run,
    `per_minute` the limit of batches. `name` is used in `--through` and in the ledger, too.
    """

    name: str
    channel: str | None
    recipient: Recipient | None
    batch: int
    attempts: int
    per_minute: int | None

    def missing(self) -> Iterable[str]:
        """What a dry run did without and a sending needs, in sentences."""
        ...

    def render(self, outgoing: Outgoing) -> Mapping[str, bytes]:
        """The content of one message, by the ending of a preview's file; empty if the other side
        writes it. Raises ConfigError if it cannot be rendered.
        """
        ...

    def connect(self, clock: Clock) -> Connection:
        """A connection, which is opened when there is something to send."""
        ...


class Deadline:
    """Cuts the connection after this many seconds, which ends all waiting for it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.socket: Callable[[], Any] = lambda: None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Applies the deadline to a block."""
        timer = threading.Timer(self.seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        connection = self.socket()
        if connection is not None:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def watched(base: Any, deadline: Deadline) -> Any:
    """A connection class whose most recent connection is cut by the deadline."""

    class Watched(base):  # type: ignore[misc]
        def connect(self) -> None:
            deadline.socket = lambda: self.sock
            super().connect()

    return Watched
