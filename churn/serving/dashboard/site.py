"""What every page shares: who asks, in which language, of which edition; and how pages are made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from churn.campaigns.delivery.settings import is_loopback
from churn.reporting.published import DOCUMENTS
from churn.reporting.translated import translated
from churn.serving.dashboard.access import OPEN, Accounts, Attempts, User
from churn.serving.dashboard.acts import Acts
from churn.serving.dashboard.customers import prepare_customers
from churn.serving.dashboard.figures import Figures
from churn.serving.dashboard.oidc import CALLBACK, Provider
from churn.serving.dashboard.pictures import sparkline, trend_lines
from churn.serving.dashboard.reader import Edition, Reader
from churn.serving.dashboard.sessions import Session, Sessions
from churn.serving.dashboard.wording import LANGUAGES, Wording, wording_of

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import Response

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "private, no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex",
}
RESULTS = "/campaigns/plan/"
"""Pages that show what an act has changed: they wait until it can be shown."""

LANGUAGE_COOKIE = "churn_language"
STATIC = {"churn.css": "text/css; charset=utf-8", "churn.js": "text/javascript; charset=utf-8"}
NAVIGATION = (
    *("overview", "customers", "segments", "cohorts", "journey", "signals"),
    *("feedback", "campaigns", "model", "downloads"),
)


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """What the pages need: the published file, the users, the key that signs sessions, what can be
    done from them (None: nothing), and the identity provider, if there is one.
    """

    published: Path
    accounts: Accounts
    session_key: bytes = field(repr=False)
    acts: Acts | None = None
    provider: Provider | None = None


@dataclass(frozen=True)
class Visit:
    """One request of somebody who may see pages."""

    site: Site
    request: Request
    user: User
    session: Session | None
    edition: Edition | None
    language: str

    @cached_property
    def wording(self) -> Wording:
        """The words of the visitor's language."""
        return wording_of(self.language)

    @cached_property
    def figures(self) -> Figures:
        """How numbers are written for the visitor."""
        currency = "EUR" if self.edition is None else self.edition.row.get("currency") or "EUR"
        return Figures(self.language, currency)

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the address."""
        return self.request.query_params

    @property
    def path(self) -> str:
        """The path with its parameters, to come back to; the login in place of a used answer."""
        if self.request.url.path == CALLBACK:
            return "/login"
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    def document(self, name: str) -> Any:
        """A published document; None if it was not published."""
        return None if self.edition is None else self.edition.document(name)


class Site:
    """The pages of one published file."""

    def __init__(self, options: PageOptions) -> None:
        self.options = options
        self.accounts = options.accounts
        self.reader = Reader(options.published, prepare=_prepare)
        self.sessions = Sessions(options.session_key)
        self.attempts = Attempts()

    def visit(self, request: Request) -> Visit | None:
        """The visit of somebody logged in, with a key, or let in because there are no users."""
        session = self.sessions.read(request.cookies, self.accounts, secure=over_tls(request))
        user = self._user(request, session)
        if user is None:
            return None
        edition = self.reader.newest(wait=request.url.path.startswith(RESULTS))
        return Visit(self, request, user, session, edition, self.language(request, edition))

    def guest(self, request: Request) -> Visit:
        """The visit of somebody who is not logged in: no edition, no rights."""
        session = self.sessions.read(request.cookies, self.accounts, secure=over_tls(request))
        nobody = User(name="", role="viewer")
        return Visit(self, request, nobody, session, None, self.language(request, None))

    def _user(self, request: Request, session: Session | None) -> User | None:
        if self.accounts.are_open:
            return OPEN if is_direct(request) else None
        given = request.headers.get("authorization", "")
        if given[:7].lower() == "bearer ":
            return self.accounts.with_key(given[7:].strip())
        if session is None:
            return None
        return self.accounts.named(session.user, session.external_role)

    def language(self, request: Request, edition: Edition | None) -> str:
        """The language asked for, chosen before, or published."""
        published = "" if edition is None else str(edition.row.get("language") or "")
        wanted = (
            request.query_params.get("lang"),
            request.cookies.get(LANGUAGE_COOKIE),
            published,
        )
        return next((name for name in wanted if name in LANGUAGES), "en")

    def render(self, visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page. A visitor without a session gets one, which its forms belong to."""
        from starlette.responses import HTMLResponse

        session = visit.session or self.sessions.new()
        text = (
            _environment()
            .get_template(template)
            .render(
                visit=visit,
                t=visit.wording,
                f=visit.figures,
                user=visit.user,
                edition=visit.edition,
                published={"shop": ""} if visit.edition is None else visit.edition.row,
                csrf=self.sessions.token(session),
                open_access=self.accounts.are_open,
                **values,
            )
        )
        response = HTMLResponse(text, status, headers=HEADERS)
        if visit.session is None:
            secure = over_tls(visit.request)
            self.sessions.write(response, session, self.accounts, secure=secure)
        return response


def _prepare(edition: Edition) -> None:
    """Loads what pages show of an edition before it is shown."""
    for name in _environment().list_templates():
        _environment().get_template(name)
    for name in DOCUMENTS:
        edition.document(name)
    prepare_customers(edition)


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """The files that pages load, by name, with their types."""
    folder = files("churn.serving.dashboard") / "static"
    return {name: ((folder / name).read_bytes(), kind) for name, kind in STATIC.items()}


@cache
def _environment() -> Environment:
    """The templates, compiled once for a process."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("churn.serving.dashboard"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.globals.update(
        navigation=NAVIGATION,
        languages=LANGUAGES,
        sparkline=sparkline,
        trend_lines=trend_lines,
        static=lambda name: f"/static/{name}?v={_mark(name)}",
        as_sentence=as_sentence,
        translated=translated,
        customer_address=lambda name: f"/customer?id={quote(str(name), safe='')}",
    )
    return environment


def as_sentence(text: str) -> str:
    """What a command said, as a sentence of its own.

    >>> as_sentence("connect `[data.surveys]`"), as_sentence("orders.amount is missing.")
    ('Connect [data.surveys].', 'orders.amount is missing.')
    """
    text = text.replace("`", "").strip()
    first = text.split(maxsplit=1)[0] if text else ""
    if first.isalpha():
        text = text[0].upper() + text[1:]
    return text if text[-1:] in ("", ".", "!", "?", ":") else f"{text}."


def _mark(name: str) -> str:
    return hashlib.sha256(static_files()[name][0]).hexdigest()[:12]


View = Callable[[Visit], "Response"]


def address_of(request: Request) -> str:
    """The address of the other end of the connection."""
    return "" if request.client is None else request.client.host


def is_direct(request: Request) -> bool:
    """Whether the request is of this machine: its address names it (so that no other site can
    read it by rebinding a name), and no proxy has forwarded it.
    """
    forwarded = {"forwarded", "via", "x-forwarded-for", "x-real-ip"} & set(request.headers)
    host = request.url.hostname or ""
    return is_loopback(host) and is_loopback(address_of(request)) and not forwarded


def over_tls(request: Request) -> bool:
    """Whether cookies are for TLS alone: always but on this machine's own plain HTTP."""
    proxied = request.headers.get("x-forwarded-proto", "").lower() == "https"
    return proxied or not is_loopback(request.url.hostname or "")


def local_path(text: str | None) -> str:
    """A path of this site to be sent to; the first page in place of anything else.

    >>> [local_path(text) for text in ("/a?q=1", "https://evil.example", "//evil.example")]
    ['/a?q=1', '/', '/']
    """
    text = text or "/"
    if not text.isprintable() or "\\" in text or not text.startswith("/") or text[1:2] == "/":
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else text
