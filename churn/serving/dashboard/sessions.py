"""Signed session cookies, rotated at login, and the CSRF tokens that belong to them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churn.serving.dashboard.access import ROLES, Accounts, Role, User

if TYPE_CHECKING:
    from itsdangerous import URLSafeTimedSerializer
    from starlette.responses import Response

MAX_AGE = 12 * 3600
MAX_COOKIE = 1_000
MAX_ENDED = 10_000


@dataclass(frozen=True)
class Session:
    """A browser's session: its random id, the user logged in ("" for nobody), and the role that
    the identity provider gave (None for a user of `[serving.users]`).
    """

    session_id: str
    user: str = ""
    external_role: Role | None = None


PLAIN, SECURE = "churn_session", "__Host-churn"
"""The cookie's name without and with TLS; browsers take the second only over TLS."""


class Sessions:
    """Cookies of sessions. `secure` says whether a request came over TLS."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def new(self, user: User | None = None, *, external: bool = False) -> Session:
        """A session with a new id, of a user or of nobody; `external` if the identity provider
        let the user in.
        """
        session_id = secrets.token_urlsafe(18)
        if user is None:
            return Session(session_id)
        return Session(session_id, user.name, user.role if external else None)

    def read(
        self, cookies: Mapping[str, str], accounts: Accounts, *, secure: bool
    ) -> Session | None:
        """The session of a request's cookies; None if it is not ours, too old, ended, or of an
        old password.
        """
        from itsdangerous import BadData

        cookie = cookies.get(SECURE if secure else PLAIN)
        if not cookie or len(cookie) > MAX_COOKIE:
            return None
        try:
            session_id, user, mark, role = self._signer().loads(cookie, max_age=MAX_AGE)
        except (BadData, ValueError, TypeError):
            return None
        if session_id in self._ended:
            return None
        session = Session(session_id, user, role if role in ROLES else None)
        if user and (accounts.named(user, session.external_role) is None):
            return None
        return session if not user or mark == accounts.mark(user, session.external_role) else None

    def write(
        self, response: Response, session: Session, accounts: Accounts, *, secure: bool
    ) -> None:
        """Sets the cookie of the session."""
        role = session.external_role
        mark = accounts.mark(session.user, role)
        response.set_cookie(
            SECURE if secure else PLAIN,
            self._signer().dumps([session.session_id, session.user, mark, role]),
            max_age=MAX_AGE,
            path="/",
            httponly=True,
            secure=secure,
            samesite="lax",
        )

    def forget(self, response: Response, *, secure: bool) -> None:
        """Removes the cookie from the browser."""
        name = SECURE if secure else PLAIN
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")

    def end(self, session: Session) -> None:
        """Ends a session on the server, so that a copy of its cookie is worth nothing."""
        with self._lock:
            self._ended[session.session_id] = time.monotonic()
            while len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)

    def token(self, session: Session) -> str:
        """The CSRF token of the session's forms."""
        message = f"csrf:{session.session_id}:{session.user}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def token_holds(self, session: Session | None, token: str) -> bool:
        """Whether a form was made for this session."""
        if session is None:
            return False
        return hmac.compare_digest(self.token(session).encode(), token.encode())

    def seal(self, value: Any, purpose: str) -> str:
        """A value as signed text, which only `unseal` with the same purpose accepts."""
        return self._signer(purpose).dumps(value)

    def unseal(self, text: str, purpose: str, *, max_age: int) -> Any:
        """The sealed value; None if the text is not ours, or older than `max_age` seconds."""
        from itsdangerous import BadData

        try:
            return self._signer(purpose).loads(text, max_age=max_age)
        except (BadData, ValueError, TypeError):
            return None

    def _signer(self, purpose: str = "session") -> URLSafeTimedSerializer:
        from itsdangerous import URLSafeTimedSerializer

        return URLSafeTimedSerializer(self._key, salt=f"churn.{purpose}")
