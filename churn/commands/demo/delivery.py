"""Steps of the demo that deliver: a local mail server, the messages, one unsubscribe."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from churn.commands.demo.steps import INDENT, Story
from churn.errors import DataError, StorageError, check_extra
from churn.results.job_result import JobResult

SHOWN_HEADERS = ("From", "To", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post")
ONE_CLICK = b"List-Unsubscribe=One-Click"
ENDS_WITHIN_SECONDS = 20


@dataclass
class MailSink:
    """A mail server's recipients, in order of arrival, and its first message as received."""

    port: int = 0
    recipients: list[str] = field(default_factory=list)
    first: bytes = b""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Accepts a message."""
        self.first = self.first or bytes(envelope.original_content)
        self.recipients.extend(envelope.rcpt_tos)
        return "250 OK"

    @property
    def message(self) -> EmailMessage:
        """The first message, parsed."""
        message = message_from_bytes(self.first, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


@contextmanager
def mail_server() -> Iterator[MailSink]:
    """A sink that listens on a free local port; ConfigError without aiosmtpd."""
    check_extra("examples", "aiosmtpd", what="a local mail server")
    from aiosmtpd.controller import Controller

    sink = MailSink()

    class Server(Controller):
        """Sets its port before the base class connects to it."""

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


def text_of(message: EmailMessage) -> str:
    """The plain text of the message."""
    body = message.get_body(preferencelist=("plain",))
    return "" if body is None else str(body.get_content()).strip()


@contextmanager
def unsubscribe_service(config: Path) -> Iterator[str]:
    """The address of a `churn serve` that runs until the block ends."""
    command = [sys.executable, "-m", "churn", "serve", "--config", str(config), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:  # noqa: S603
        try:
            yield _announced(service)
        finally:
            service.terminate()
            service.communicate(timeout=ENDS_WITHIN_SECONDS)


def _announced(service: subprocess.Popen[str]) -> str:
    assert service.stderr is not None
    output = ""
    for line in service.stderr:
        output += line
        address = re.search(r"http://[\w.:\[\]]+", line)
        if address:
            return address[0]
    rule = "the unsubscribe page must be served"
    raise StorageError(rule, got=output.strip()[-200:], fix="Try `churn serve` by itself.")


def unsubscribe(message: EmailMessage, service: str) -> str:
    """Sends the request that a mail program sends for one-click unsubscribe, and returns its
    address: the path of the message's link, at the service instead of the proxy in front of it.
    """
    link = str(message["List-Unsubscribe"]).strip("<>")
    address = service + urlsplit(link).path
    request = Request(address, data=ONE_CLICK, method="POST")  # noqa: S310 - our own service
    with urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()
    return address


def export_list(story: Story) -> JobResult:
    """The plan as a list for a campaign tool."""
    story.begin("Export a list for a campaign tool, after checking consent again")
    done = _exported(story, "list.parquet")
    story.report(f"{done.metrics['exported']:,} of {done.metrics['offered']:,} offers may be sent.")
    return done


def _exported(story: Story, name: str) -> JobResult:
    from churn.commands.export import export

    story.command(f"churn export plan.parquet --to {name}")
    plan, out = story.path("plan.parquet"), story.path(name)
    return export(story.config, plan=plan, out=out, progress=story.progress)


def send_mails(story: Story, sink: MailSink) -> JobResult:
    """The plan as e-mails to the sink. DataError unless it received every message."""
    from churn.commands.send import send

    story.begin("Or send e-mails directly, here to a local mail server")
    story.command("churn send plan.parquet")
    done = send(story.config, plan=story.path("plan.parquet"), progress=story.progress)
    sent, received = done.metrics["sent"], len(sink.recipients)
    if sent != received:
        rule = "the mail server must have received every message that was sent"
        raise DataError(rule, got=f"{received:,} of {sent:,}", fix="Run the demo again.")
    story.report(
        f"{sent:,} sent, {received:,} received. Running it again would send nothing twice."
    )
    if received:
        _show(story, sink)
    return done


def _show(story: Story, sink: MailSink) -> None:
    """Shows the first message and saves it to a file."""
    file = story.path("one-mail.eml")
    file.write_bytes(sink.first)
    message = sink.message
    story.report(f"One of them, saved as {file.name}:")
    lines = [f"{name}: {message[name]}" for name in SHOWN_HEADERS]
    for line in [*lines, "", *text_of(message).splitlines()]:
        story.say(line, style="dim", indent=INDENT, mark="│ ")


def withdraw_one(story: Story, sink: MailSink, exported: JobResult) -> JobResult:
    """One click on the link of that message, and a second export without its recipient.

    DataError unless the second list is shorter by one.
    """
    story.begin("The recipient unsubscribes with one click and is excluded from now on")
    story.command("churn serve &")
    with unsubscribe_service(story.config) as service:
        address = unsubscribe(sink.message, service)
    story.command(f"curl -d List-Unsubscribe=One-Click \\\n    {address}")
    done = _exported(story, "list-after.parquet")
    before, now = exported.metrics["exported"], done.metrics["exported"]
    if now != before - 1:
        rule = "the next export must exclude the customer who unsubscribed"
        raise DataError(rule, got=f"{now:,} of {before:,}", fix="Run the demo again.")
    story.report(f"{now:,} customers instead of {before:,}.")
    return done
