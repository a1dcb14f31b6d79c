"""An end to conversations with whoever never stops talking: a timeout counts each silence anew."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Deadline", "watched"]


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
