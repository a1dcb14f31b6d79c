"""Unsubscribing over HTTP (RFC 8058): a POST unsubscribes, idempotently; a GET changes nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from churn.errors import BusyError, StorageError
from churn.serving.pages import Pages
from churn.storage.ledger import Ledger
from churn.storage.messages import message_of_token
from churn.storage.withdrawals import record_withdrawal

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

    _Next = Callable[[Request], Awaitable[Response]]


MAX_BODY_BYTES = 16_384
BODY_SECONDS = 10.0
UNKNOWN_BODY_SECONDS = 1.0
MAX_TOKEN = 64
MAX_CONTENT_TYPE = 200
MAX_PART_HEAD = 1_000
MAX_PARTS = 20
MAX_IN_PROGRESS = 400
_FIELD, _VALUE = "List-Unsubscribe", "One-Click"
_MULTIPART = "multipart/form-data"
_BOUNDARY = re.compile(r';\s*boundary="?([\w\'()+,./:=?-]{1,70})"?\s*(?:;|$)', re.I | re.A)
_FIELD_NAME = re.compile(rb'content-disposition:\s?form-data;\s?name="?([\w-]{1,100})"?', re.I)


def create_unsubscribe_app(
    ledger_path: Path, *, shop: str = "", language: str = "en", wait_seconds: float = 5.0
) -> FastAPI:
    """The service: `/unsubscribe/TOKEN` for the links of messages, and `/healthz`.

    It needs no login, sets no cookie, and does not reveal who a customer is. A withdrawal is in
    the ledger before it is confirmed, so the next plan, export and sending respect it. If the
    ledger stays busy for `wait_seconds`, the response is 503 with `Retry-After`.
    """
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import HTMLResponse, PlainTextResponse

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, max_body_size=MAX_BODY_BYTES)
    pages = Pages(shop, language)
    withdrawals = _Withdrawals(ledger_path, wait_seconds)

    def page(content: str, status: int = 200) -> Response:
        return HTMLResponse(content, status, headers={"content-security-policy": pages.policy})

    async def ask(request: Request) -> Response:
        valid = await asyncio.to_thread(withdrawals.is_valid, request.path_params["token"])
        return page(pages.question) if valid else page(pages.unknown, 404)

    async def withdraw(request: Request) -> Response:
        token = request.path_params["token"]
        valid = await asyncio.to_thread(withdrawals.is_valid, token)
        try:
            seconds = BODY_SECONDS if valid else UNKNOWN_BODY_SECONDS
            body = await asyncio.wait_for(request.body(), seconds)
        except TimeoutError:
            return PlainTextResponse("too slow", 408) if valid else page(pages.unknown, 404)
        except ClientDisconnect:
            return PlainTextResponse("incomplete", 400)  # the client no longer reads it
        if not valid:
            return page(pages.unknown, 404)
        fields = fields_of(request.headers.get("content-type", ""), body)
        if fields.get(_FIELD) != _VALUE:
            return page(pages.question, 400)
        source = "page" if fields.get("source") == "page" else "one-click"
        done = await asyncio.to_thread(withdrawals.record, token, source)
        return page(pages.done) if done else page(pages.unknown, 404)

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    app.add_route("/unsubscribe/{token}", ask, methods=["GET", "HEAD"])
    app.add_route("/unsubscribe/{token}", withdraw, methods=["POST"])
    app.add_route("/healthz", health, methods=["GET"])
    app.add_exception_handler(BusyError, _try_later)
    app.add_exception_handler(StorageError, _try_later)
    app.add_exception_handler(HTTPException, _refused)
    app.middleware("http")(_limited())
    app.middleware("http")(_guarded)
    return app


class _Withdrawals:
    """The service's access to the ledger, with one connection per request."""

    def __init__(self, ledger_path: Path, wait_seconds: float) -> None:
        self.ledger_path = ledger_path
        self.wait_seconds = wait_seconds

    def is_valid(self, token: str) -> bool:
        """Whether a message has this token."""
        if len(token) > MAX_TOKEN:
            return False
        with Ledger(self.ledger_path, wait_seconds=self.wait_seconds) as ledger:
            return message_of_token(ledger, token) is not None

    def record(self, token: str, source: str) -> bool:
        """Unsubscribes the customer of the message with this token from its channel; False if there
        is none.
        """
        if len(token) > MAX_TOKEN:
            return False
        with Ledger(self.ledger_path, wait_seconds=self.wait_seconds) as ledger:
            message = message_of_token(ledger, token)
            if message is not None:
                record_withdrawal(
                    ledger, message.customer_id, message.channel, source=source, token=token
                )
        return message is not None


def fields_of(content_type: str, body: bytes) -> dict[str, str]:
    """The first value of each field of a form, in either encoding that RFC 8058 allows.

    >>> fields_of("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click")
    {'List-Unsubscribe': 'One-Click'}
    """
    if len(content_type) > MAX_CONTENT_TYPE:
        return {}
    if content_type.lower().startswith(_MULTIPART):
        boundary = _BOUNDARY.search(content_type)
        return {} if boundary is None else _parts(body, b"--" + boundary[1].encode())
    fields = parse_qs(body.decode("ascii", "replace"))
    return {name: values[0] for name, values in fields.items()}


def _parts(body: bytes, boundary: bytes) -> dict[str, str]:
    """The fields of a multipart form, in time linear in the size of the body."""
    fields: dict[str, str] = {}
    for part in body.split(boundary, MAX_PARTS)[1:]:
        head, _, content = part.replace(b"\r\n", b"\n").partition(b"\n\n")
        name = _FIELD_NAME.search(head[:MAX_PART_HEAD])
        if name is not None:
            fields.setdefault(name[1].decode("ascii"), content.decode("utf-8", "replace").strip())
    return fields


async def _guarded(request: Request, call_next: _Next) -> Response:
    """Refuses ambiguous lengths (request smuggling), and adds the headers that keep the URL, which
    contains a token, out of caches and referrers.
    """
    from starlette.responses import PlainTextResponse

    if {"content-length", "transfer-encoding"} <= set(request.headers):
        response: Response = PlainTextResponse("one length only", 400)
    else:
        response = await call_next(request)
    response.headers.update(
        {
            "cache-control": "no-store",
            "connection": "close",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex",
        }
    )
    return response


def _limited() -> Callable[[Request, _Next], Awaitable[Response]]:
    """Answers 503 while too many requests are in progress, except for `/healthz`."""
    in_progress = 0

    async def limited(request: Request, call_next: _Next) -> Response:
        nonlocal in_progress
        if in_progress >= MAX_IN_PROGRESS and request.url.path != "/healthz":
            return await _try_later(request, BusyError("too many requests are in progress"))
        in_progress += 1
        try:
            return await call_next(request)
        finally:
            in_progress -= 1

    return limited


async def _try_later(_: Request, __: Exception) -> Response:
    """503 with `Retry-After`: the ledger cannot be written now."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("please try again", 503, headers={"retry-after": "60"})


async def _refused(_: Request, failure: Exception) -> Response:
    """An unknown path or method, or a body that is too large, as plain text."""
    from http import HTTPStatus

    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse

    status, headers = HTTPStatus.NOT_FOUND, None
    if isinstance(failure, HTTPException):
        status, headers = HTTPStatus(failure.status_code), failure.headers
    return PlainTextResponse(f"{status.phrase.lower()}\n", status, headers=headers)
