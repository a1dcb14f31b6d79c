"""An SMTP client that always knows whether the server may have accepted a message."""

from __future__ import annotations

import smtplib
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.campaigns.delivery import interrupts
from churn.campaigns.delivery.transport import Deadline, Outcome
from churn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from churn.campaigns.delivery.settings import EmailSettings


_BROKEN = (OSError, smtplib.SMTPException)
GREETING = 220
MAX_REPLY_BYTES = 65_536
TOTAL_TIMEOUTS = 5  # a login or a message may take this many timeouts in total


class MailServer:
    """The configured mail server; connected on first use, and reconnected when the connection
    breaks.

    Certificates are verified, against `ca_file` if given. A server that does not offer the
    configured encryption gets no message.
    """

    def __init__(
        self,
        settings: EmailSettings,
        *,
        ca_file: Path | None = None,
        sleep: Callable[[float], None] = interrupts.sleep,
    ) -> None:
        self.settings = settings
        self.sleep = sleep
        self._context = _context(ca_file) if settings.security != "none" else None
        self._connection: smtplib.SMTP | None = None
        self._deadline = Deadline(TOTAL_TIMEOUTS * settings.timeout_seconds)

    def send(self, data: bytes, *, sender: str, to: str) -> Outcome:
        """The outcome of a message; `stop` if the server itself is unusable."""
        try:
            connection = self._connected()
        except smtplib.SMTPAuthenticationError as refused:
            return Outcome("waiting", f"login refused ({refused.smtp_code})", stop=True)
        except _BROKEN as broken:
            return Outcome("waiting", _cause(broken, self.settings), stop=True)
        try:
            with self._deadline.running():
                outcome = _transfer(connection, data, sender=sender, to=to)
        except _BROKEN:
            self._drop()
            return Outcome("waiting", "connection lost")
        if outcome.state != "sent":
            self._reset()
        return outcome

    def close(self) -> None:
        """Closes the connection, if there is one."""
        try:
            if self._connection is not None:
                with self._deadline.running():
                    self._connection.quit()
        except _BROKEN:
            pass
        self._connection = None

    def _connected(self) -> smtplib.SMTP:
        """The connection; a new one is attempted `attempts` times, unless retrying is pointless."""
        attempt = 0
        while self._connection is None:
            try:
                self._connection = self._connect()
            except (ssl.SSLCertVerificationError, smtplib.SMTPAuthenticationError):
                raise
            except _BROKEN:
                attempt += 1
                if attempt >= self.settings.attempts:
                    raise
                self.sleep(2.0**attempt)
                if interrupts.pending():
                    raise
        return self._connection

    def _connect(self) -> smtplib.SMTP:
        options = self.settings
        host = options.host or ""
        connection: smtplib.SMTP = self._unconnected(host, timeout=options.timeout_seconds)
        self._deadline.socket = lambda: connection.sock
        try:
            with self._deadline.running():
                self._greet(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _unconnected(self, host: str, *, timeout: float) -> Any:
        if self.settings.security == "tls":
            kind = _bounded_client(smtplib.SMTP_SSL)
            connection = kind(timeout=timeout, context=self._context)
        else:
            connection = _bounded_client(smtplib.SMTP)(timeout=timeout)
        connection._host = host
        return connection

    def _greet(self, connection: smtplib.SMTP) -> None:
        """Connects, starts TLS and logs in as configured."""
        options = self.settings
        code, text = connection.connect(options.host or "", options.port)
        if code != GREETING:
            raise smtplib.SMTPConnectError(code, text)
        _disable_nagle(connection)
        if options.security == "starttls":
            connection.starttls(context=self._context)
        if options.username is not None and options.password is not None:
            connection.login(options.username, options.password)

    def _reset(self) -> None:
        """Resets the session for the next message; drops a server that is closing."""
        try:
            with self._deadline.running():
                if self._connection is not None and self._connection.rset()[0] == 250:
                    return
        except _BROKEN:
            pass
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class _BoundedReader:
    """A reader of the server's lines that aborts endless replies."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.left = MAX_REPLY_BYTES

    def readline(self, limit: int = -1) -> bytes:
        """The next line."""
        line: bytes = self.file.readline(limit)
        self.left -= len(line)
        if self.left < 0:
            raise OSError("an endless reply")
        return line

    def close(self) -> None:
        """Closes the file."""
        self.file.close()


def _bounded_client(base: Any) -> Any:
    class BoundedClient(base):  # type: ignore[misc]
        """Reads a reply up to a limit; its socket exists before the greeting."""

        file: Any
        sock: Any

        def _get_socket(self, host: str, port: int, timeout: float) -> Any:
            self.sock = super()._get_socket(host, port, timeout)
            return self.sock

        def getreply(self) -> tuple[int, bytes]:
            lines = self.file or _BoundedReader(self.sock.makefile("rb"))
            lines.left, self.file = MAX_REPLY_BYTES, lines
            reply: tuple[int, bytes] = super().getreply()
            return reply

    return BoundedClient


def _disable_nagle(connection: smtplib.SMTP) -> None:
    """Nagle's algorithm would cost 40 ms per message."""
    if connection.sock is not None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _transfer(connection: smtplib.SMTP, data: bytes, *, sender: str, to: str) -> Outcome:
    """The outcome of one message.

    An exception means that the server cannot have it, because it was not sent completely; silence
    after the last line is "unknown".
    """
    connection.ehlo_or_helo_if_needed()
    for step, code in _steps(connection, sender=sender, to=to):
        if not 200 <= code < 400:
            return _refused(code, stop=step == "sender")
    connection.send(_stuffed(data))
    try:
        code, _ = connection.docmd(".")
    except _BROKEN:
        return Outcome("unknown", "no answer")
    return Outcome("sent") if 200 <= code < 300 else _refused(code)


def _steps(connection: smtplib.SMTP, *, sender: str, to: str) -> Iterator[tuple[str, int]]:
    yield "sender", connection.mail(sender)[0]
    yield "recipient", connection.rcpt(to)[0]
    yield "data", connection.docmd("DATA")[0]


def _refused(code: int, *, stop: bool = False) -> Outcome:
    """Permanent for 5xx, else temporary. A rejected sender is rejected for all recipients."""
    if 500 <= code < 600 and not stop:
        return Outcome("failed", str(code))
    return Outcome("waiting", f"sender refused ({code})" if stop else str(code), stop=stop)


def _stuffed(data: bytes) -> bytes:
    """The message with dot-stuffing, without the end-of-data line."""
    body = data if data.endswith(b"\r\n") else data + b"\r\n"
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as failure:
        rule = "[delivery.email] ca_file must contain PEM certificates"
        got = f"{type(failure).__name__}"
        raise ConfigError(
            rule, got=got, fix="Pass the file of your certificate authority."
        ) from None


def _cause(failure: BaseException, settings: EmailSettings) -> str:
    """The failure without the server's words, which may contain an address."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return "the mail server's certificate is not trusted"
    if isinstance(failure, smtplib.SMTPNotSupportedError):
        feature = "STARTTLS" if "STARTTLS" in str(failure) else "a login"  # smtplib's wording
        return f"the mail server does not offer {feature}"
    if isinstance(failure, smtplib.SMTPResponseException):
        return f"the mail server answered {failure.smtp_code}"
    return f"no connection to {settings.host}:{settings.port} ({_reason(failure)})"


def _reason(failure: BaseException) -> str:
    """Why the connection failed."""
    reasons: dict[type[BaseException], str] = {
        ConnectionRefusedError: "connection refused",
        socket.gaierror: "no such host",
        TimeoutError: "no answer in time",
        ssl.SSLError: "no TLS on that port",
        smtplib.SMTPServerDisconnected: "connection closed",
        ConnectionResetError: "connection closed",
        smtplib.SMTPException: "no common login mechanism",
    }
    matching = (text for kind, text in reasons.items() if isinstance(failure, kind))
    return next(matching, "unreachable")
