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
    """A message on record with what it is made of: its row of the list, and for e-mail the address
    and what the template is given.
    """

    message: Message
    row: Mapping[str, Any]
    address: str = ""
    products: tuple[str, ...] = ()


Parcel = Sequence[Outgoing]
"""Messages that go out together, under one name; at least one."""


@dataclass(frozen=True)
class Outcome:
    """What became of a parcel: "sent", "failed" for good, "waiting" to be tried again, or "unknown"
    where it went out and no answer came. `cause` is a code or a word, never what the other side
    wrote. `stop`: the others of this run would fare no better.
    """

    state: State
    cause: str | None = None
    stop: bool = False


class Transport(Protocol):
    """Hands parcels over. An expected failure is an outcome and no exception."""

    name: str

    def deliver(self, parcel: Parcel) -> Outcome:
        """What became of the parcel."""
        ...

    def close(self) -> None:
        """Ends the conversation."""
        ...


class Deadline:
    """After so many seconds the connection is cut: whoever waits for it sees it end."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.socket: Callable[[], Any] = lambda: None

    @contextmanager
    def running(self) -> Iterator[None]:
        """A block that the deadline holds for."""
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
    """A class of connections of which the deadline cuts the one that was opened last."""

    class Watched(base):  # type: ignore[misc]
        def connect(self) -> None:
            deadline.socket = lambda: self.sock
            super().connect()

    return Watched
