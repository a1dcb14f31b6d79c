"""What is answered while the service still loads: that it lives, and is not ready yet.

Loading takes seconds, nearly all of them spent in importing libraries. This module imports none, so
that an orchestrator is answered from the first half second on.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

MAX_CONNECTIONS = 200
MAX_HEAD_BYTES = 8_192
SECONDS = 2.0
"""How long a connection may take for its head, and for reading the answer."""

RETRY_SECONDS = 1
_TICK_SECONDS = 0.05
_LIVE = (b"/livez", b"/healthz", b"/v2/health/live")
_LOADING = {
    "type": "urn:churn:problem:loading",
    "title": "Service Unavailable",
    "status": 503,
    "detail": "The service is loading its model.",
}


@contextmanager
def answering(listener: socket.socket) -> Iterator[None]:
    """Answers on that listening socket, from a thread, until the block ends.

    `GET /livez` and `/healthz` get 200, everything else 503 with `Retry-After`, and each connection
    is closed. Connections that arrive later wait in the socket's queue for whoever serves next.
    """
    listener.setblocking(False)
    starting = _Starting(listener)
    thread = threading.Thread(target=starting.run, name="starting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        starting.ended.set()
        thread.join(SECONDS + 1)


@dataclass(eq=False)
class _Connection:
    """A connection: what it has sent of its head, whether it was answered, when it is closed."""

    socket: socket.socket
    ends_at: float
    head: bytes = b""
    is_answered: bool = False


@dataclass
class _Starting:
    listener: socket.socket
    ended: threading.Event = field(default_factory=threading.Event)
    _connections: dict[_Connection, None] = field(default_factory=dict)

    def run(self) -> None:
        """Answers until the end; what has been accepted by then is answered, too."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            accepts = True
            while accepts or self._connections:
                if accepts and self.ended.is_set():
                    selector.unregister(self.listener)
                    accepts = False
                for key, _ in selector.select(_TICK_SECONDS):
                    if key.data is None:
                        self._accept(selector)
                    else:
                        self._read(selector, key.data)
                self._close_late(selector)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        with suppress(OSError):
            accepted, _ = self.listener.accept()
            accepted.setblocking(False)
            connection = _Connection(accepted, time.monotonic() + SECONDS)
            self._connections[connection] = None
            selector.register(accepted, selectors.EVENT_READ, connection)
            if len(self._connections) > MAX_CONNECTIONS:
                self._close(selector, next(iter(self._connections)))

    def _read(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._close(selector, connection)
        elif not connection.is_answered:  # else it is the rest of a body, which nobody reads
            connection.head += data[: MAX_HEAD_BYTES + 1]
            is_whole = b"\r\n\r\n" in connection.head or b"\n\n" in connection.head
            if is_whole or len(connection.head) > MAX_HEAD_BYTES:
                self._answer(connection)

    def _answer(self, connection: _Connection) -> None:
        """Sends the answer, and waits for the client to read it and to close."""
        connection.is_answered = True
        connection.ends_at = time.monotonic() + SECONDS
        with suppress(OSError):
            connection.socket.sendall(answer_to(connection.head))
            connection.socket.shutdown(socket.SHUT_WR)

    def _close_late(self, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        for connection in [each for each in self._connections if each.ends_at <= now]:
            self._close(selector, connection)

    def _close(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        self._connections.pop(connection)
        selector.unregister(connection.socket)
        connection.socket.close()


def answer_to(head: bytes) -> bytes:
    """The answer to a request with that head.

    >>> answer_to(b"GET /livez HTTP/1.1").splitlines()[0]
    b'HTTP/1.1 200 OK'
    >>> answer_to(b"GET /readyz HTTP/1.1").splitlines()[0]
    b'HTTP/1.1 503 Service Unavailable'
    """
    method, _, rest = head.partition(b" ")
    path = rest.split(None, 1)[0].partition(b"?")[0] if rest.strip() else b""
    if method == b"GET" and path in _LIVE:
        return _response("200 OK", "application/json", '{"live":true}')
    retry = f"retry-after: {RETRY_SECONDS}\r\n"
    return _response(
        "503 Service Unavailable", "application/problem+json", json.dumps(_LOADING), retry
    )


def _response(status: str, kind: str, content: str, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n"
        f"cache-control: no-store\r\nx-content-type-options: nosniff\r\n{more}"
        f"connection: close\r\n\r\n{content}"
    ).encode()
