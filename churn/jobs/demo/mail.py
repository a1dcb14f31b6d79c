"""The e-mails of the demo: sent to a mail server that delivers none, and unsubscribed from."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from churn.errors import StorageError

__all__ = ["SHOWN_HEADERS", "text_of", "unsubscribe", "unsubscribe_service"]

SHOWN_HEADERS = ("From", "To", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post")
ONE_CLICK = b"List-Unsubscribe=One-Click"
ENDS_WITHIN_SECONDS = 20


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
