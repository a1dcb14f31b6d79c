"""Leaving for the identity provider, and coming back from it."""

from __future__ import annotations

import threading
from dataclasses import astuple
from typing import TYPE_CHECKING

from churn.serving.dashboard.oidc import (
    SIGN_IN_SECONDS,
    STATUS,
    Pending,
    Provider,
    SignInError,
    Why,
)
from churn.serving.dashboard.site import HEADERS, Visit, local_path, over_tls

if TYPE_CHECKING:
    from starlette.responses import Response

PLAIN, SECURE = "churn_sign_in", "__Host-churn-sign-in"
MAX_AT_ONCE = 4
_slots = threading.BoundedSemaphore(MAX_AT_ONCE)


def leave_for_provider(visit: Visit) -> Response:
    """Sends the browser to the provider, with a short-lived cookie that its answer must match."""
    from starlette.responses import RedirectResponse

    provider, target = _provider(visit), local_path(visit.parameters.get("next"))
    if visit.user.name:
        return RedirectResponse(target, 303, headers=HEADERS)
    try:
        with _Slot():
            address, pending = provider.begin(target)
    except SignInError as failure:
        return _refused(visit, failure.why, failure.detail)
    response = RedirectResponse(address, 303, headers=HEADERS)
    secure = over_tls(visit.request)
    response.set_cookie(
        SECURE if secure else PLAIN,
        visit.site.sessions.seal(list(astuple(pending)), "sign-in"),
        max_age=SIGN_IN_SECONDS,
        path="/",
        httponly=True,
        secure=secure,
        samesite="lax",
    )
    return response


def back_from_provider(visit: Visit) -> Response:
    """Checks what the provider sent back, and begins a new session of who signed in."""
    from starlette.responses import RedirectResponse

    provider, site = _provider(visit), visit.site
    pending = _pending(visit)
    try:
        with _Slot():
            user = provider.finish(pending, dict(visit.parameters))
    except SignInError as failure:
        return _refused(visit, failure.why, failure.detail)
    if user.name in site.accounts.users:  # the name of another person here
        return _refused(visit, "invalid", user.name)
    if visit.session is not None:
        site.sessions.end(visit.session)
    target = local_path(pending.next if pending is not None else None)
    response = RedirectResponse(target, 303, headers=HEADERS)
    secure = over_tls(visit.request)
    session = site.sessions.new(user, external=True)
    site.sessions.write(response, session, site.accounts, secure=secure)
    _forget(visit, response)
    return response


def _provider(visit: Visit) -> Provider:
    from starlette.exceptions import HTTPException

    if visit.site.options.provider is None:
        raise HTTPException(404)
    return visit.site.options.provider


def _pending(visit: Visit) -> Pending | None:
    secure = over_tls(visit.request)
    cookie = visit.request.cookies.get(SECURE if secure else PLAIN, "")
    found = visit.site.sessions.unseal(cookie, "sign-in", max_age=SIGN_IN_SECONDS)
    try:
        return None if found is None else Pending(*found)
    except TypeError:
        return None


def _refused(visit: Visit, why: Why, detail: str) -> Response:
    response = visit.site.render(
        visit, "sign_in_failed.html", status=STATUS[why], why=why, detail=detail
    )
    _forget(visit, response)
    return response


def _forget(visit: Visit, response: Response) -> None:
    secure = over_tls(visit.request)
    name = SECURE if secure else PLAIN
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")


class _Slot:
    """One of the few requests to the provider at a time: a slow one must not occupy the service."""

    def __enter__(self) -> None:
        if not _slots.acquire(blocking=False):
            raise SignInError("unreachable", "busy")

    def __exit__(self, *_: object) -> None:
        _slots.release()
