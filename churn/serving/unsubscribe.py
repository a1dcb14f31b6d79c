"""Unsubscribing over HTTP by RFC 8058: a POST withdraws, however often; a GET changes nothing."""

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


LARGEST_BODY = 16_384
BODY_SECONDS = 10.0
UNKNOWN_BODY_SECONDS = 1.0
LONGEST_TOKEN = 64
LONGEST_CONTENT_TYPE = 200
LONGEST_PART_HEAD = 1_000
MOST_PARTS = 20
MOST_AT_WORK = 400
_FIELD, _VALUE = "List-Unsubscribe", "One-Click"
_MULTIPART = "multipart/form-data"
_BOUNDARY = re.compile(r';\s*boundary="?([\w\'()+,./:=?-]{1,70})"?\s*(?:;|$)', re.I | re.A)
_FIELD_NAME = re.compile(rb'content-disposition:\s?form-data;\s?name="?([\w-]{1,100})"?', re.I)


def create_unsubscribe_app(
    ledger_path: Path, *, shop: str = "", language: str = "en", wait_seconds: float = 5.0
) -> FastAPI:
    """The service: `/unsubscribe/TOKEN` for the links of messages, and `/healthz`.

    It needs no login, sets no cookie, and tells nobody who a customer is. A withdrawal is in the
    ledger when the answer goes out, and so in the next plan, export and sending. Where the ledger
    stays busy for `wait_seconds`, the answer is to come again.
    """
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import HTMLResponse, PlainTextResponse

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, max_body_size=LARGEST_BODY)
    pages = Pages(shop, language)
    desk = _Desk(ledger_path, wait_seconds)

    def page(content: str, status: int = 200) -> Response:
        return HTMLResponse(content, status, headers={"content-security-policy": pages.policy})

    async def ask(request: Request) -> Response:
        known = await asyncio.to_thread(desk.knows, request.path_params["token"])
        return page(pages.question) if known else page(pages.unknown, 404)

    async def withdraw(request: Request) -> Response:
        known = await asyncio.to_thread(desk.knows, request.path_params["token"])
        try:
            seconds = BODY_SECONDS if known else UNKNOWN_BODY_SECONDS
            body = await asyncio.wait_for(request.body(), seconds)
        except TimeoutError:
            return PlainTextResponse("too slow", 408) if known else page(pages.unknown, 404)
        except ClientDisconnect:
            return PlainTextResponse("cut off", 400)  # nobody is there to read it
        if not known:
            return page(pages.unknown, 404)
        told = fields_of(request.headers.get("content-type", ""), body)
        if told.get(_FIELD) != _VALUE:
            return page(pages.question, 400)
        source = "page" if told.get("source") == "page" else "one-click"
        done = await asyncio.to_thread(desk.withdraw, request.path_params["token"], source)
        return page(pages.done) if done else page(pages.unknown, 404)

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok")

    app.add_route("/unsubscribe/{token}", ask, methods=["GET", "HEAD"])
    app.add_route("/unsubscribe/{token}", withdraw, methods=["POST"])
    app.add_route("/healthz", alive, methods=["GET"])
    app.add_exception_handler(BusyError, _try_later)
    app.add_exception_handler(StorageError, _try_later)
    app.add_exception_handler(HTTPException, _refused)
    app.middleware("http")(_limited())
    app.middleware("http")(_guarded)
    return app


class _Desk:
    """What the service may do with the ledger; a connection for each request."""

    def __init__(self, ledger_path: Path, wait_seconds: float) -> None:
        self.ledger_path = ledger_path
        self.wait_seconds = wait_seconds

    def knows(self, token: str) -> bool:
        """Whether a message has that token."""
        if len(token) > LONGEST_TOKEN:
            return False
        with Ledger(self.ledger_path, wait_seconds=self.wait_seconds) as ledger:
            return message_of_token(ledger, token) is not None

    def withdraw(self, token: str, source: str) -> bool:
        """Whether a message has that token; if so, its customer has withdrawn from its channel."""
        if len(token) > LONGEST_TOKEN:
            return False
        with Ledger(self.ledger_path, wait_seconds=self.wait_seconds) as ledger:
            message = message_of_token(ledger, token)
            if message is not None:
                record_withdrawal(
                    ledger, message.customer_id, message.channel, source=source, token=token
                )
        return message is not None


def fields_of(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a form, in either of the two encodings that RFC 8058 allows; the first of each.

    >>> fields_of("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click")
    {'List-Unsubscribe': 'One-Click'}
    """
    if len(content_type) > LONGEST_CONTENT_TYPE:
        return {}
    if content_type.lower().startswith(_MULTIPART):
        boundary = _BOUNDARY.search(content_type)
        return {} if boundary is None else _parts(body, b"--" + boundary[1].encode())
    found = parse_qs(body.decode("ascii", "replace"))
    return {name: values[0] for name, values in found.items()}


def _parts(body: bytes, boundary: bytes) -> dict[str, str]:
    """The fields of a form in parts, each by its name, in time that is linear in the body."""
    found: dict[str, str] = {}
    for part in body.split(boundary, MOST_PARTS)[1:]:
        head, _, content = part.replace(b"\r\n", b"\n").partition(b"\n\n")
        name = _FIELD_NAME.search(head[:LONGEST_PART_HEAD])
        if name is not None:
            found.setdefault(name[1].decode("ascii"), content.decode("utf-8", "replace").strip())
    return found


async def _guarded(request: Request, call_next: _Next) -> Response:
    """Refuses what two servers could read in two ways, and adds what every answer carries: the
    address holds a token, so it is neither kept nor passed on.
    """
    from starlette.responses import PlainTextResponse

    if {"content-length", "transfer-encoding"} <= set(request.headers):
        answer: Response = PlainTextResponse("one length only", 400)
    else:
        answer = await call_next(request)
    answer.headers.update(
        {
            "cache-control": "no-store",
            "connection": "close",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex",
        }
    )
    return answer


def _limited() -> Callable[[Request, _Next], Awaitable[Response]]:
    """Asks whoever comes while too many requests are at work to come again; `/healthz` is answered
    all the same.
    """
    at_work = 0

    async def limited(request: Request, call_next: _Next) -> Response:
        nonlocal at_work
        if at_work >= MOST_AT_WORK and request.url.path != "/healthz":
            return await _try_later(request, BusyError("too many requests are at work"))
        at_work += 1
        try:
            return await call_next(request)
        finally:
            at_work -= 1

    return limited


async def _try_later(_: Request, __: Exception) -> Response:
    """The ledger cannot be written now: whoever asked is asked to come again."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("please try again", 503, headers={"retry-after": "60"})


async def _refused(_: Request, failure: Exception) -> Response:
    """What is no address of ours, no method of it, or a body too large, in plain words."""
    from http import HTTPStatus

    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse

    status, headers = HTTPStatus.NOT_FOUND, None
    if isinstance(failure, HTTPException):
        status, headers = HTTPStatus(failure.status_code), failure.headers
    return PlainTextResponse(f"{status.phrase.lower()}\n", status, headers=headers)
