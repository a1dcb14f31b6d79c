"""The transport protocol: messages, batches, and a deadline for a slow counterpart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from churn.storage.messages import Message, State


@dataclass(frozen=True)
class Outgoing:
    """A recorded message with its content: its row of the list, and for e-mail the address and the
    template variables.
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


class Transport(Protocol):
    """Delivers batches. An expected failure is an outcome, not an exception."""

    name: str

    def deliver(self, batch: Batch) -> Outcome:
        """The outcome of the batch."""
        ...

    def close(self) -> None:
        """Closes the connection."""
        ...


class Deadline:
    """Cuts the connection after this many seconds, so that whoever waits for it sees it end."""

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
