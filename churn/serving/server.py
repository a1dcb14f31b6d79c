"""Serving an application with uvicorn: no access log, slow clients limited, graceful shutdown."""

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
MAX_HEAD_BYTES = 8_192
MAX_SILENT = 400
BACKLOG = 1_000
_END_OF_HEAD = re.compile(rb"\n\r?\n")


def serve(app: FastAPI, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM; requests in progress are finished first.

    `announce` is called with the address (with the actual port if 0 was requested) once it accepts
    connections. Raises StorageError if the port is not available. There is no access log, because
    URLs contain tokens.
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
    """A listening socket; connections made before the server runs are queued."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(BACKLOG)
        except OSError as failure:
            rule = f"cannot listen on {host}, port {port}: {failure.strerror or failure}"
            raise StorageError(
                rule, fix="Pass another --port, or a --host of this machine."
            ) from None
        yield listening


def _server(base: type[Any]) -> type[Any]:
    class Server(base):  # type: ignore[misc]
        """Returns after a signal, whereas the base class kills its own process."""

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

    silent: dict[TimedProtocol, None] = {}  # connections without a complete head, oldest first

    class TimedProtocol(H11Protocol):
        """Closes connections that have not sent the head of a request in time, and the oldest of
        them if there are too many. A head that is too large is refused unread.
        """

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.head = b""
            silent[self] = None
            if len(silent) > MAX_SILENT:
                next(iter(silent))._close_if_silent()
            self.loop.call_later(HEADER_SECONDS, self._close_if_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            silent.pop(self, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self in silent:
                self.head += data[: MAX_HEAD_BYTES + 1]
                end = _END_OF_HEAD.search(self.head)
                if (len(self.head) if end is None else end.start()) > MAX_HEAD_BYTES:
                    silent.pop(self)
                    self.send_400_response("the head of the request is too large")
                    return
                if end is not None:
                    silent.pop(self)
            super().data_received(data)

        def _close_if_silent(self) -> None:
            silent.pop(self, None)
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol
