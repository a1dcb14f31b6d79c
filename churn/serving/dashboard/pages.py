"""The application of the pages: who may open which address, and what is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, quote

from churn.errors import ChurnError
from churn.serving.dashboard import base_views, delivery_views, login_views, oidc_views
from churn.serving.dashboard.campaign_views import campaigns, download, plan_made, plan_started
from churn.serving.dashboard.customer_views import customer_list, customers_export, one_customer
from churn.serving.dashboard.oidc import CALLBACK
from churn.serving.dashboard.site import HEADERS, PageOptions, Site, View, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI, Request
    from starlette.responses import Response

    Endpoint = Callable[[Request], Awaitable[Response]]
    Act = Callable[[Visit, Mapping[str, str]], Response]

Needs = Literal["nothing", "customers", "acting", "sending"]
MAX_BODY_BYTES = 16_384
BODY_SECONDS = 10.0
MAX_FIELDS = 30
MAX_CONTENT_TYPE = 200
FORM = "application/x-www-form-urlencoded"

VIEWS: Mapping[str, tuple[View, Needs]] = {
    "/": (base_views.overview, "nothing"),
    "/segments": (base_views.segments, "nothing"),
    "/cohorts": (base_views.cohorts, "nothing"),
    "/journey": (base_views.journey, "nothing"),
    "/signals": (base_views.signals, "nothing"),
    "/feedback": (base_views.feedback, "nothing"),
    "/model": (base_views.model, "nothing"),
    "/downloads": (base_views.downloads, "nothing"),
    "/tables/{page}/{name}.{kind}": (base_views.table_export, "nothing"),
    "/documents/{name}.json": (base_views.document_export, "customers"),
    "/customers": (customer_list, "customers"),
    "/customers.csv": (customers_export, "customers"),
    "/customers.json": (customers_export, "customers"),
    "/customer": (one_customer, "customers"),
    "/campaigns": (campaigns, "nothing"),
    "/campaigns/plan/{key}": (plan_made, "acting"),
    "/campaigns/delivery/{key}": (delivery_views.delivery, "sending"),
    "/campaigns/download/{name}": (download, "customers"),
}
"""What is behind an address, and what a role must allow."""

ACTS: Mapping[str, tuple[Act, Needs]] = {
    "/campaigns/plan": (plan_started, "acting"),
    "/campaigns/check": (delivery_views.checked, "sending"),
    "/campaigns/send": (delivery_views.sent, "sending"),
    "/campaigns/export": (delivery_views.exported, "sending"),
    "/logout": (login_views.leave, "nothing"),
}
"""What a form does, and what a role must allow."""

SLOW = frozenset(
    {
        *("/customers.csv", "/customers.json", "/tables/{page}/{name}.{kind}"),
        *("/documents/{name}.json", "/campaigns/download/{name}"),
        *("/campaigns/plan/{key}", "/campaigns/delivery/{key}"),
    }
)
"""What may take long, and must not keep the pages waiting."""

PAGES_AT_ONCE = 2
"""Threads that render pages. Further requests wait in their order: rendering holds the interpreter
lock, so that more threads only make each request slower, and some of them much slower.
"""


def create_pages(options: PageOptions) -> FastAPI:
    """The application of the pages. Nothing but the way to log in is open to who is not logged in.

    Every state is an address, and everything works without script.
    """
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException

    site = Site(options)
    site.reader.begin()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, max_body_size=MAX_BODY_BYTES)
    pages = ThreadPoolExecutor(PAGES_AT_ONCE, thread_name_prefix="page")
    for path, (view, needs) in VIEWS.items():
        queue = None if path in SLOW else pages
        app.add_route(path, _shown(site, view, needs, queue), methods=["GET"])
    for path, (act, needs) in ACTS.items():
        app.add_route(path, _posted(site, act, needs), methods=["POST"])
    app.add_route("/login", _open(site, login_views.ask), methods=["GET"])
    app.add_route("/login", login_views.entered(site, _form), methods=["POST"])
    app.add_route("/login/provider", _open(site, oidc_views.leave_for_provider), methods=["GET"])
    app.add_route(CALLBACK, _open(site, oidc_views.back_from_provider), methods=["GET"])
    app.add_route("/language", _open(site, login_views.language), methods=["GET"])
    app.add_route("/static/{name}", _open(site, login_views.static), methods=["GET"])
    app.add_exception_handler(HTTPException, _refused(site))
    app.add_exception_handler(ChurnError, _failed(site))
    return app


def _shown(site: Site, view: View, needs: Needs, queue: Executor | None) -> Endpoint:
    """A page for who may see it; others log in first."""

    async def endpoint(request: Request) -> Response:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(queue, _answer, site, request, view, needs)

    return endpoint


def _answer(site: Site, request: Request, view: View, needs: Needs) -> Response:
    visit = site.visit(request)
    if visit is None:
        return _not_let_in(site, request)
    if not _allowed(visit, needs):
        return _forbidden(visit, needs)
    if visit.edition is None:
        return site.render(
            visit,
            "message.html",
            title="nothing_published",
            text="nothing_published_text",
        )
    return view(visit)


def _not_let_in(site: Site, request: Request) -> Response:
    from starlette.responses import PlainTextResponse, RedirectResponse

    if site.accounts.are_open:
        text = "open without login on this machine only, and not through a proxy\n"
        return PlainTextResponse(text, 403, headers=HEADERS)
    if "authorization" in request.headers or request.url.path.endswith((".csv", ".json")):
        headers = {**HEADERS, "www-authenticate": "Bearer"}
        return PlainTextResponse("log in, or send an API key\n", 401, headers=headers)
    query = f"?{request.url.query}" if request.url.query else ""
    path = quote(request.url.path + query, safe="")
    return RedirectResponse(f"/login?next={path}", 303, headers=HEADERS)


def _allowed(visit: Visit, needs: Needs) -> bool:
    if needs == "customers":
        return visit.user.sees_customers
    if needs == "sending":
        return visit.user.may_send
    return needs == "nothing" or visit.user.may_act


def _forbidden(visit: Visit, needs: Needs) -> Response:
    text = "forbidden_sending" if needs == "sending" else "forbidden_text"
    return visit.site.render(visit, "message.html", status=403, title="forbidden", text=text)


def _open(site: Site, view: View) -> Endpoint:
    """An address that is open to everyone."""

    async def endpoint(request: Request) -> Response:
        return await asyncio.to_thread(lambda: view(site.visit(request) or site.guest(request)))

    return endpoint


def _posted(site: Site, act: Act, needs: Needs) -> Endpoint:
    """An act by who may act, on a form of this session or with an API key."""

    async def endpoint(request: Request) -> Response:
        form = await _form(request)
        return await asyncio.to_thread(_act, site, request, act, needs, form)

    return endpoint


def _act(
    site: Site,
    request: Request,
    act: Act,
    needs: Needs,
    form: Mapping[str, str] | None,
) -> Response:
    visit = site.visit(request)
    if visit is None:
        return _not_let_in(site, request)
    keyed = "authorization" in request.headers
    if form is None or not (keyed or is_own(site, visit, form)):
        return site.render(visit, "message.html", status=403, title="refused", text="csrf_text")
    if not _allowed(visit, needs):
        return _forbidden(visit, needs)
    return act(visit, form)


def is_own(site: Site, visit: Visit, form: Mapping[str, str]) -> bool:
    """Whether a form was sent by a page of this site, in this session."""
    where = visit.request.headers.get("sec-fetch-site", "same-origin")
    own = where in ("same-origin", "none")
    return own and site.sessions.token_holds(visit.session, form.get("csrf", ""))


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None if it is none, too slow, or too large."""
    from starlette.requests import ClientDisconnect

    kind = request.headers.get("content-type", "")
    if len(kind) > MAX_CONTENT_TYPE or kind.split(";")[0].strip().lower() != FORM:
        return None
    try:
        body = await asyncio.wait_for(request.body(), BODY_SECONDS)
        fields = parse_qsl(body.decode("utf-8"), max_num_fields=MAX_FIELDS, keep_blank_values=True)
    except (TimeoutError, ClientDisconnect, ValueError):
        return None
    return dict(fields)


def _refused(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    """An unknown address, a wrong method or a body that is too large."""

    async def refused(request: Request, failure: Exception) -> Response:
        from starlette.exceptions import HTTPException
        from starlette.responses import PlainTextResponse

        status = failure.status_code if isinstance(failure, HTTPException) else 404
        visit = await asyncio.to_thread(site.visit, request)
        if visit is None and status == 404:
            return _not_let_in(site, request)
        if visit is None or status != 404:
            return PlainTextResponse("refused\n", status, headers=HEADERS)
        return site.render(visit, "message.html", status=404, title="page_not_found", text="")

    return refused


def _failed(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    """A published file that cannot be read, or an act that is not possible."""

    async def failed(request: Request, failure: Exception) -> Response:
        visit = site.guest(request)
        return site.render(
            visit, "message.html", status=503, title="something_wrong", text="try_again"
        )

    return failed
