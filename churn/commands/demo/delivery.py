"""Steps of the demo that deliver: a mail server of its own, the messages, one unsubscribe."""

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
    check_extra("examples", "aiosmtpd", what="a mail server to try things with")
    from aiosmtpd.controller import Controller

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


def text_of(message: EmailMessage) -> str:
    """What the message says to who reads plain text."""
    body = message.get_body(preferencelist=("plain",))
    return "" if body is None else str(body.get_content()).strip()


@contextmanager
def unsubscribe_service(config: Path) -> Iterator[str]:
    """The address of a `churn serve` that runs as long as the block."""
    command = [sys.executable, "-m", "churn", "serve", "--config", str(config), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:  # noqa: S603
        try:
            yield _announced(service)
        finally:
            service.terminate()
            service.communicate(timeout=ENDS_WITHIN_SECONDS)


def _announced(service: subprocess.Popen[str]) -> str:
    assert service.stderr is not None
    told = ""
    for line in service.stderr:
        told += line
        found = re.search(r"http://[\w.:\[\]]+", line)
        if found:
            return found[0]
    rule = "the page to unsubscribe must be served"
    raise StorageError(rule, got=told.strip()[-200:], fix="Try `churn serve` by itself.")


def unsubscribe(message: EmailMessage, service: str) -> str:
    """Does what a mail program does at one click, and where: the path of the message's link, at
    the service itself instead of the proxy before it.
    """
    link = str(message["List-Unsubscribe"]).strip("<>")
    address = service + urlsplit(link).path
    asked = Request(address, data=ONE_CLICK, method="POST")  # noqa: S310 - our own service
    with urlopen(asked, timeout=30) as answer:  # noqa: S310
        answer.read()
    return address


def export_list(story: Story) -> JobResult:
    """The plan as a list for a campaign tool."""
    story.begin("A list for a campaign tool, with consent asked anew")
    done = _exported(story, "list.parquet")
    story.tell(f"{done.metrics['exported']:,} of {done.metrics['offered']:,} offers may go out.")
    return done


def _exported(story: Story, name: str) -> JobResult:
    from churn.commands.export import export

    story.command(f"churn export plan.parquet --to {name}")
    plan, out = story.path("plan.parquet"), story.path(name)
    return export(story.config, plan=plan, out=out, progress=story.progress)


def send_mails(story: Story, sink: MailSink) -> JobResult:
    """The plan as e-mails to the sink. DataError unless it received what was sent."""
    from churn.commands.send import send

    story.begin("Or churn sends the e-mails itself, here to a mail server that keeps them")
    story.command("churn send plan.parquet")
    done = send(story.config, plan=story.path("plan.parquet"), progress=story.progress)
    sent, received = done.metrics["sent"], len(sink.recipients)
    if sent != received:
        rule = "the mail server must have received every message that was sent"
        raise DataError(rule, got=f"{received:,} of {sent:,}", fix="Run the demo again.")
    story.tell(f"{sent:,} sent, {received:,} received. A second run would send none of them again.")
    if received:
        _show(story, sink)
    return done


def _show(story: Story, sink: MailSink) -> None:
    """One of the messages, and the file that it is kept in."""
    kept = story.path("one-mail.eml")
    kept.write_bytes(sink.first)
    message = sink.message
    story.tell(f"One of them, kept as {kept.name}:")
    lines = [f"{name}: {message[name]}" for name in SHOWN_HEADERS]
    for line in [*lines, "", *text_of(message).splitlines()]:
        story.say(line, style="dim", indent=INDENT, mark="│ ")


def withdraw_one(story: Story, sink: MailSink, exported: JobResult) -> JobResult:
    """One click on the link of that message, and the list again without its customer.

    DataError where it did not get shorter by one.
    """
    story.begin("Its reader unsubscribes with one click, and is left out from now on")
    story.command("churn serve &")
    with unsubscribe_service(story.config) as service:
        address = unsubscribe(sink.message, service)
    story.command(f"curl -d List-Unsubscribe=One-Click \\\n    {address}")
    done = _exported(story, "list-after.parquet")
    before, now = exported.metrics["exported"], done.metrics["exported"]
    if now != before - 1:
        rule = "who unsubscribed must be left out of the next export"
        raise DataError(rule, got=f"{now:,} of {before:,}", fix="Run the demo again.")
    story.tell(f"{now:,} customers instead of {before:,}.")
    return done
