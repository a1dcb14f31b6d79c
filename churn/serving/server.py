"""Serving an application with uvicorn: no access log, slow clients limited, graceful shutdown."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from churn.errors import StorageError
from churn.serving.collection import settle

if TYPE_CHECKING:
    from starlette.types import ASGIApp


HEADER_SECONDS = 5.0
PROMPT_SECONDS = 0.25
"""A connection counts as silent after that time: if a thousand arrive at once, some of their heads
were sent and not read yet."""
GRACE_SECONDS = 10
MAX_HEAD_BYTES = 8_192
MAX_SILENT = 400
BACKLOG = 1_000
_END_OF_HEAD = re.compile(rb"\n\r?\n")


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    stopping: Callable[[], None] = lambda: None,
    drain_seconds: float = 0.0,
) -> None:
    """Serves on a listening socket until SIGINT or SIGTERM; requests in progress are finished
    first.

    After the signal, `stopping` is called, and new requests are served for `drain_seconds`, so that
    a load balancer notices; a second signal skips that. There is no access log, because URLs
    contain tokens.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        http=_timed_protocol(),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _server(uvicorn.Server, stopping, drain_seconds)
    settle()
    server(config).run(sockets=[listener])


def address_of(listener: socket.socket) -> str:
    """The address of a listening socket, with its actual port."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; connections made before somebody serves are queued.

    Raises StorageError if the port is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By the number of its protocol asyncio knows it for TCP, and sends without delay: else the body
    # of an answer waits 40 ms for the client to confirm its head.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as failure:
            rule = f"cannot listen on {host}, port {port}: {failure.strerror or failure}"
            raise StorageError(
                rule, fix="Pass another --port, or a --host of this machine."
            ) from None
        yield listener


def _server(base: type[Any], stopping: Callable[[], None], drain_seconds: float) -> type[Any]:
    class Server(base):  # type: ignore[misc]
        """Returns after a signal, whereas the base class kills its own process."""

        stops_at: float | None = None

        def handle_exit(self, sig: int, frame: Any) -> None:
            if self.stops_at is None and drain_seconds:
                self.stops_at = time.monotonic() + drain_seconds
                stopping()
            else:
                super().handle_exit(sig, frame)

        async def on_tick(self, counter: int) -> bool:
            if self.stops_at is not None and time.monotonic() >= self.stops_at:
                return True
            return bool(await super().on_tick(counter))

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            signals = (signal.SIGINT, signal.SIGTERM)
            before = {number: signal.signal(number, self.handle_exit) for number in signals}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return Server


def _timed_protocol() -> type[Any]:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    silent: dict[TimedProtocol, None] = {}  # long without a complete head, oldest first

    class TimedProtocol(H11Protocol):
        """Closes connections that have not sent the head of a request in time, and the oldest of
        them if there are too many. A head that is too large is refused unread.
        """

        head: bytes | None = None  # while it is incomplete
        heads = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            silent.pop(self, None)
            super().connection_lost(exc)

        def _await_head(self) -> None:
            self.head = b""
            self.heads += 1
            self.loop.call_later(PROMPT_SECONDS, self._note_silence, self.heads)

        def _end_head(self) -> None:
            self.head = None
            silent.pop(self, None)

        def data_received(self, data: bytes) -> None:
            if self.head is None and self.cycle is not None and self.cycle.response_complete:
                self._await_head()  # the next request on the same connection
            if self.head is not None:
                self.head += data[: MAX_HEAD_BYTES + 1]
                end = _END_OF_HEAD.search(self.head)
                if (len(self.head) if end is None else end.start()) > MAX_HEAD_BYTES:
                    self._end_head()
                    self.send_400_response("the head of the request is too large")
                    return
                if end is not None:
                    self._end_head()
            super().data_received(data)

        def _note_silence(self, head: int) -> None:
            if self.head is None or head != self.heads or self.transport.is_closing():
                return
            silent[self] = None
            if len(silent) > MAX_SILENT:
                next(iter(silent))._close_if_silent()
            self.loop.call_later(HEADER_SECONDS - PROMPT_SECONDS, self._close_if_silent, head)

        def _close_if_silent(self, head: int | None = None) -> None:
            if self not in silent or head not in (None, self.heads):
                return
            self._end_head()
            if not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol
