"""The application of `churn serve`: its parts behind one address, told apart by their paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True)
class Part:
    """A part of the service: an ASGI application, and the first segments of the paths it answers.

    `"v1"` stands for `/v1` and everything below it. A part without segments answers what no other
    part does. Middleware, limits and error pages are the part's own.
    """

    app: ASGIApp
    segments: frozenset[str] = frozenset()


def create_app(parts: Sequence[Part]) -> ASGIApp:
    """One application of those parts, which also answers `/healthz`, and `/livez` if no part does.

    Requests that state two lengths are refused before any part sees them (request smuggling). The
    first part without segments, or else the first part, answers unknown paths.
    """
    routes = {segment: part.app for part in parts for segment in part.segments}
    lives = {"healthz", "livez"} - routes.keys()
    others = next((part.app for part in parts if not part.segments), parts[0].app)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if _has_two_lengths(scope):
            await _answer(send, 400, "one length only", close=True)
            return
        segment = scope["path"].split("/", 2)[1] if scope["path"][:1] == "/" else ""
        if segment in lives and scope["path"] == f"/{segment}" and scope["method"] == "GET":
            await _answer(send, 200, "ok")
            return
        await routes.get(segment, others)(scope, receive, send)

    return application


def _has_two_lengths(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return {b"content-length", b"transfer-encoding"} <= names


async def _answer(send: Send, status: int, text: str, *, close: bool = False) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *([(b"connection", b"close")] if close else []),
    ]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": text.encode()})
