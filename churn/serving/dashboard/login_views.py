"""Logging in and out, the choice of language, and the files that pages load."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from churn.serving.dashboard.access import MAX_PASSWORD
from churn.serving.dashboard.site import (
    HEADERS,
    LANGUAGE_COOKIE,
    Site,
    Visit,
    address_of,
    local_path,
    over_tls,
    static_files,
)
from churn.serving.dashboard.wording import LANGUAGES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_AT_ONCE = 2
MAX_WAITING = 20
YEAR = 365 * 24 * 3600


def ask(visit: Visit) -> Response:
    """The form to log in; whoever is logged in is sent on."""
    from starlette.responses import RedirectResponse

    target = local_path(visit.parameters.get("next"))
    if visit.user.name or visit.site.accounts.are_open:
        return RedirectResponse(target, 303, headers=HEADERS)
    return _form(visit.site, visit, target)


def entered(
    site: Site, form_of: Callable[[Request], Awaitable[dict[str, str] | None]]
) -> Callable[[Request], Awaitable[Response]]:
    """The answer to a name and a password. Few are checked at once: each costs 32 MB."""
    slots = threading.BoundedSemaphore(MAX_AT_ONCE)
    waiting = 0

    async def endpoint(request: Request) -> Response:
        nonlocal waiting
        form = await form_of(request)
        visit = site.guest(request)
        if form is None or not site.sessions.token_holds(visit.session, form.get("csrf", "")):
            return site.render(visit, "message.html", status=403, title="refused", text="csrf_text")
        if waiting >= MAX_WAITING:
            return site.render(visit, "message.html", status=503, title="refused", text="try_again")
        waiting += 1
        try:
            return await asyncio.to_thread(_checked, site, visit, form, slots)
        finally:
            waiting -= 1

    return endpoint


def _checked(
    site: Site, visit: Visit, form: Mapping[str, str], slots: threading.BoundedSemaphore
) -> Response:
    from starlette.responses import RedirectResponse

    name, password = form.get("name", "")[:200], form.get("password", "")[: MAX_PASSWORD + 1]
    target = local_path(form.get("next"))
    keys = (f"name:{name}", f"address:{address_of(visit.request)}:{name}")
    wait = site.attempts.wait_seconds(*keys)
    if wait:
        return _again(site, visit, target, 429, visit.wording("login.wait", minutes=-(-wait // 60)))
    with slots:
        user = site.accounts.with_password(name, password)
    if user is None:
        site.attempts.failed(*keys)
        return _again(site, visit, target, 401, visit.wording("login.wrong"), name=name)
    site.attempts.succeeded(*keys)
    if visit.session is not None:
        site.sessions.end(visit.session)  # an id from before the login is worth nothing after it
    response = RedirectResponse(target, 303, headers=HEADERS)
    secure = over_tls(visit.request)
    site.sessions.write(response, site.sessions.new(user), site.accounts, secure=secure)
    return response


def _again(
    site: Site, visit: Visit, target: str, status: int, failure: str, *, name: str = ""
) -> Response:
    response = _form(site, visit, target, status=status, failure=failure, name=name)
    if status == 429:
        response.headers["retry-after"] = "60"
    return response


def _form(
    site: Site, visit: Visit, target: str, *, status: int = 200, failure: str = "", name: str = ""
) -> Response:
    provider = site.options.provider
    return site.render(
        visit,
        "login.html",
        status=status,
        next=target,
        failure=failure,
        name=name,
        provider="" if provider is None else provider.client.label,
        passwords=site.accounts.have_passwords or provider is None,
    )


def leave(visit: Visit, _: Mapping[str, str]) -> Response:
    """Ends the session, here and in the browser."""
    from starlette.responses import RedirectResponse

    if visit.session is not None:
        visit.site.sessions.end(visit.session)
    response = RedirectResponse("/login", 303, headers=HEADERS)
    visit.site.sessions.forget(response, secure=over_tls(visit.request))
    return response


def language(visit: Visit) -> Response:
    """Remembers a language, and leads back to where the link was."""
    from starlette.responses import RedirectResponse

    response = RedirectResponse(local_path(visit.parameters.get("next")), 303, headers=HEADERS)
    wanted = visit.parameters.get("to", "")
    if wanted in LANGUAGES:
        secure = over_tls(visit.request)
        response.set_cookie(
            LANGUAGE_COOKIE, wanted, max_age=YEAR, secure=secure, httponly=True, samesite="lax"
        )
    return response


def static(visit: Visit) -> Response:
    """The style and the script, kept by browsers for a year under the address of their content."""
    from starlette.responses import PlainTextResponse
    from starlette.responses import Response as Plain

    found = static_files().get(visit.request.path_params["name"])
    if found is None:
        return PlainTextResponse("not found\n", 404, headers=HEADERS)
    content, kind = found
    headers = {**HEADERS, "cache-control": "public, max-age=31536000, immutable"}
    return Plain(content, media_type=kind, headers=headers)
