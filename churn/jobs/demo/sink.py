"""A mail server on this machine that takes every message and delivers none: for trying things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from churn.errors import ConfigError

__all__ = ["MailSink", "mail_server"]


@dataclass
class MailSink:
    """To whom messages came, in order, and the first of them as it arrived."""

    port: int = 0
    recipients: list[str] = field(default_factory=list)
    first: bytes = b""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Takes a message."""
        self.first = self.first or bytes(envelope.original_content)
        self.recipients.extend(envelope.rcpt_tos)
        return "250 OK"

    @property
    def message(self) -> EmailMessage:
        """The first message, read."""
        message = message_from_bytes(self.first, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


@contextmanager
def mail_server() -> Iterator[MailSink]:
    """A sink that listens on a free port of this machine; ConfigError without aiosmtpd."""
    try:
        from aiosmtpd.controller import Controller
    except ModuleNotFoundError:
        rule = "a mail server to try things with needs the package aiosmtpd"
        raise ConfigError(rule, fix="pip install 'churnwise[examples]'") from None

    sink = MailSink()

    class Server(Controller):
        """Learns its port before the base class knocks at it."""

        def _trigger_server(self) -> None:
            sockets: Any = getattr(self.server, "sockets", ())
            self.port = sink.port = sockets[0].getsockname()[1]
            super()._trigger_server()  # type: ignore[no-untyped-call]

    server = Server(sink, hostname="127.0.0.1", port=0)
    server.start()
    try:
        yield sink
    finally:
        server.stop()
