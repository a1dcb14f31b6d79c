"""An application served by uvicorn: quiet about who asks, patient with nobody, gone on SIGTERM."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from churn.errors import StorageError

if TYPE_CHECKING:
    from fastapi import FastAPI


HEADER_SECONDS = 5.0
GRACE_SECONDS = 10
LARGEST_HEAD = 8_192
MOST_SILENT = 400
_END_OF_HEAD = re.compile(rb"\n\r?\n")
WAITING_TO_CONNECT = 1_000


def serve(app: FastAPI, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM; requests in work are finished first.

    `announce` is told the address (with the real port where 0 was asked for) when it can be
    reached. StorageError where the port cannot be had. No access log: addresses hold tokens.
    """
    import uvicorn

    with _bound(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
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
        announce(f"http://{shown}:{listening.getsockname()[1]}")
        _server(uvicorn.Server)(config).run(sockets=[listening])


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket: who connects before the server runs waits, and is not refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(WAITING_TO_CONNECT)
        except OSError as failure:
            rule = f"cannot listen on {host}, port {port}: {failure.strerror or failure}"
            raise StorageError(
                rule, fix="Take another --port, or a --host of this machine."
            ) from None
        yield listening


def _server(base: type[Any]) -> type[Any]:
    class Server(base):  # type: ignore[misc]
        """Ends normally when it was told to end; the base class then kills its own process."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            signals = (signal.SIGINT, signal.SIGTERM)
            before = {one: signal.signal(one, self.handle_exit) for one in signals}
            try:
                yield
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)

    return Server


def _timed_protocol() -> type[Any]:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    silent: dict[TimedProtocol, None] = {}  # in the order in which they came

    class TimedProtocol(H11Protocol):
        """Hangs up on whoever has not sent the head of a request in time, and, where many have not
        yet, on the one that has been silent longest. A head that is too large is refused unread.
        """

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.head = b""
            silent[self] = None
            if len(silent) > MOST_SILENT:
                next(iter(silent))._hang_up_if_silent()
            self.loop.call_later(HEADER_SECONDS, self._hang_up_if_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            silent.pop(self, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self in silent:
                self.head += data[: LARGEST_HEAD + 1]
                end = _END_OF_HEAD.search(self.head)
                if (len(self.head) if end is None else end.start()) > LARGEST_HEAD:
                    silent.pop(self)
                    self.send_400_response("the head of the request is too large")
                    return
                if end is not None:
                    silent.pop(self)
            super().data_received(data)

        def _hang_up_if_silent(self) -> None:
            silent.pop(self, None)
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol
