"""A server that begins a response and never ends it, until the client disconnects."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def endless(begin: bytes, more: bytes, pause: float) -> Iterator[int]:
    """Its port; `begin` is said at once, and `more` again and again after so many seconds."""
    stop = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(begin)
            while not stop.is_set():
                connection.sendall(more)
                time.sleep(pause)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=answer, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)
