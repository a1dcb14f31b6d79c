"""A mail server that stores messages, or responds as configured."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

TAKEN = "250 OK"
Answer = Callable[[Envelope], str]


@dataclass
class MailSink:
    """The messages that arrived, in order; `answer` and `recipient` decide what the server says."""

    answer: Answer = lambda _: TAKEN
    recipient: Callable[[str], str] = lambda _: TAKEN
    envelopes: list[Envelope] = field(default_factory=list)
    connections: int = 0

    async def handle_EHLO(  # noqa: N802 - the name that aiosmtpd asks for
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return answers

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        text = self.recipient(address)
        if text == TAKEN:
            envelope.rcpt_tos.append(address)
        return text

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        text = self.answer(envelope)
        if text == TAKEN:
            self.envelopes.append(envelope)
        return text

    @property
    def messages(self) -> list[EmailMessage]:
        """What arrived, read by Python's own parser."""
        return [parsed(envelope) for envelope in self.envelopes]

    @property
    def recipients(self) -> list[str]:
        """To whom it went."""
        return [to for envelope in self.envelopes for to in envelope.rcpt_tos]


def parsed(envelope: Envelope) -> EmailMessage:
    content = envelope.original_content
    assert isinstance(content, bytes)
    message = message_from_bytes(content, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


class Server(Controller):
    """The sink on a free port of this machine, inside a `with` block."""

    def __init__(self, sink: MailSink, **options: Any) -> None:
        super().__init__(sink, hostname="127.0.0.1", port=0, **options)

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _trigger_server(self) -> None:
        """Learns the port before the base class knocks at it."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def serving(sink: MailSink, **options: Any) -> Server:
    """The server of a sink; `options` are those of aiosmtpd."""
    return Server(sink, **options)


def only(username: str, password: str) -> Callable[..., AuthResult]:
    """An authenticator that lets one user in."""

    def check(
        server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any
    ) -> AuthResult:
        right = (data.login, data.password) == (username.encode(), password.encode())
        return AuthResult(success=right, handled=False)

    return check


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
