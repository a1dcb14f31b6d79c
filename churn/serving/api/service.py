"""The API as an application: keys, limits and errors around its routes, kept up to date by a thread
in the background.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from churn.errors import BusyError, ChurnError, ConfigError, ModelError, StorageError
from churn.serving.api.batch import Batches
from churn.serving.api.champion import Champion
from churn.serving.api.documentation import ROUTES, Documented, describe, extra, problems
from churn.serving.api.limits import RateLimit, authorised
from churn.serving.api.metrics import OTHER, Metrics
from churn.serving.api.problems import ProblemError, is_inference, media_type
from churn.serving.api.records import LedgerThread
from churn.serving.api.routes import Routes
from churn.serving.api.settings import ApiLimits, ApiSources

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

SEGMENTS = frozenset({"v1", "v2", "livez", "readyz", "metrics", "openapi.json"})
OPEN = frozenset({"/metrics", "/openapi.json", *(r.path for r in ROUTES if r.is_open)})
WATCH_SECONDS = 0.5
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Api:
    """The API of a shop. `start` begins to load the model and to watch for new ones."""

    def __init__(self, sources: ApiSources, limits: ApiLimits | None = None) -> None:
        limits = limits or ApiLimits()
        self.metrics = Metrics()
        champion = Champion(sources.champion, sources.load_model, sources.day_timezone, self._note)
        self.routes = Routes(
            limits,
            sources,
            champion,
            Batches(sources.scores, self._note),
            LedgerThread(sources.ledger, sources.erasure_key, sources.same_customer),
            self.metrics,
        )
        self.limits = limits
        self._rate = RateLimit(limits.requests_per_minute)
        self._in_progress = 0
        self._stopped = threading.Event()
        self._said = ""
        self.fastapi = _application(self.routes, self.metrics)

    def start(self) -> None:
        """Loads and watches in a thread of its own, so that `/livez` answers at once."""
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def stopping(self) -> None:
        """From now on `/readyz` answers 503, while requests are still served."""
        self.routes.draining = True

    def stop(self) -> None:
        """Ends the watching thread."""
        self._stopped.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request: ASGI."""
        begun, path = time.perf_counter(), scope["path"]
        answer = _Answer(send)
        try:
            self._admit(scope, path)
        except ProblemError as refusal:
            await _refuse(answer, path, refusal)
        else:
            self._in_progress += 1
            try:
                async with asyncio.timeout(self.limits.timeout_seconds):
                    await self.fastapi(scope, receive, answer)
            except TimeoutError:
                if not answer.begun:
                    detail = f"No answer within {self.limits.timeout_seconds:g} seconds."
                    headers = {"retry-after": "1"}
                    late = ProblemError(503, "timeout", detail, headers=headers)
                    await _refuse(answer, path, late)
            finally:
                self._in_progress -= 1
        route = scope.get("route")
        template = getattr(route, "path", OTHER)
        self.metrics.answered(template, answer.status, time.perf_counter() - begun)

    def _admit(self, scope: Scope, path: str) -> None:
        """Raises a problem without a valid key, over the rate, or if too much is in progress."""
        if path in OPEN:
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        records = self.routes.records
        key = authorised(headers, records.keys)
        self._rate.take(key.prefix)
        records.use(key)
        scope.setdefault("state", {})["key_prefix"] = key.prefix
        if self._in_progress >= self.limits.max_in_progress:
            detail = "Too many requests are in progress."
            raise ProblemError(503, "busy", detail, headers={"retry-after": "1"})

    def _watch(self) -> None:
        routes = self.routes
        checks = (routes.records.refresh, routes.champion.check, routes.batches.check)
        while True:
            for check in checks:
                try:
                    check()
                except ChurnError as failure:
                    self._say(f"{type(failure).__name__}: {failure}")
                except Exception as failure:  # the watcher must outlive any one failure
                    self._say(_where(failure))
            if self._stopped.wait(WATCH_SECONDS):
                return

    def _note(self, outcome: str, text: str) -> None:
        self.metrics.loaded(outcome)
        champion = self.routes.champion.current
        if champion is not None:
            self.metrics.uses(champion.model_id)
        self._say(text)

    def _say(self, text: str) -> None:
        """A line on standard error, unless it repeats the last one."""
        if text != self._said:
            self._said = text
            with suppress(OSError, ValueError):
                sys.stderr.write(f"api: {text}\n")
                sys.stderr.flush()


class _Answer:
    """Passes an answer on with the headers of every answer, and notes its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await self._send(message)


def _application(routes: Routes, metrics: Metrics) -> FastAPI:
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException
    from starlette.responses import Response

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for documented in ROUTES:
        _add(app, documented, getattr(routes, documented.function))

    async def shown(_: Request) -> Response:
        return Response(metrics.shown(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def document(_: Request) -> Response:
        import json

        return Response(json.dumps(app.openapi()), media_type="application/json")

    app.add_route("/metrics", shown, methods=["GET"])
    app.add_route("/openapi.json", document, methods=["GET"])
    app.add_exception_handler(HTTPException, _not_found)
    app.openapi = lambda: _cached(app)  # type: ignore[method-assign]
    return app


def _cached(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = describe(app)
    return app.openapi_schema


def _add(app: FastAPI, documented: Documented, function: Callable[[Any], Awaitable[bytes]]) -> None:
    from starlette.requests import Request
    from starlette.responses import Response

    async def endpoint(request: Request) -> Response:
        try:
            return Response(await function(request), media_type="application/json")
        except Exception as failure:
            return _response(request.url.path, _problem_of(failure))

    endpoint.__annotations__ = {"request": Request, "return": Response}
    app.add_api_route(
        documented.path,
        endpoint,
        methods=[documented.method],
        response_model=documented.answer,
        summary=documented.summary,
        tags=[documented.tag],
        operation_id=f"{documented.function}{'_version' * ('{version}' in documented.path)}"
        f"{'_v2' * (documented.path.startswith('/v2'))}",
        openapi_extra=extra(documented),
        responses=problems(documented.path),
    )


def _problem_of(failure: Exception) -> ProblemError:
    """The refusal that a failure becomes; what is a bug is reported without any value."""
    from starlette.requests import ClientDisconnect

    if isinstance(failure, ProblemError):
        return failure
    if isinstance(failure, ClientDisconnect):
        return ProblemError(400, "incomplete", "The request ended before its body did.")
    if isinstance(failure, ModelError):
        detail = "The model cannot use these values: features must be finite and within range."
        return ProblemError(422, "unusable-features", detail)
    if isinstance(failure, (BusyError, StorageError, ConfigError)):
        detail = "The ledger or a file cannot be used at the moment."
        return ProblemError(503, "unavailable", detail, headers={"retry-after": "5"})
    sys.stderr.write(f"api: {_where(failure)}\n")
    return ProblemError(500, "bug", "This is a bug of the service; its log names the place.")


def _where(failure: Exception) -> str:
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{type(failure).__name__} at {frame.filename}:{frame.lineno}"


def _response(path: str, problem: ProblemError) -> Response:
    from starlette.responses import Response

    # The Open Inference Protocol knows 400 alone for what cannot be inferred.
    status = 400 if is_inference(path) and problem.status == 422 else problem.status
    problem.status = status
    return Response(
        problem.body(path), status, headers=problem.headers, media_type=media_type(path)
    )


async def _refuse(send: Send, path: str, problem: ProblemError) -> None:
    body = problem.body(path)
    headers: Mapping[str, str] = {
        "content-type": media_type(path),
        "content-length": str(len(body)),
        **problem.headers,
    }
    listed = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": listed})
    await send({"type": "http.response.body", "body": body})


async def _not_found(request: Request, failure: Exception) -> Response:
    status = getattr(failure, "status_code", 404)
    name = {404: "not-found", 405: "wrong-method"}.get(status, "refused")
    return _response(
        request.url.path,
        ProblemError(
            status,
            name,
            "GET /openapi.json lists the routes.",
            headers=dict(getattr(failure, "headers", None) or {}),
        ),
    )
