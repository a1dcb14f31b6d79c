"""Signing in with the shop's own identity provider: OpenID Connect, authorization code with PKCE.

Authlib builds and sends the requests and checks the claims; joserfc checks the signature.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from churn.campaigns.delivery.settings import loopback_or_https
from churn.errors import ChurnError
from churn.serving.dashboard.access import ROLES, Role, User

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

Why = Literal["cancelled", "expired", "invalid", "no_role", "unreachable"]
STATUS: Mapping[Why, int] = {
    "cancelled": 401,
    "expired": 400,
    "invalid": 401,
    "no_role": 403,
    "unreachable": 502,
}
CALLBACK = "/login/callback"
SIGN_IN_SECONDS = 600
TIMEOUT_SECONDS = (5.0, 10.0)
METADATA_SECONDS = 3600.0
KEYS_SECONDS = 60.0
LEEWAY_SECONDS = 60
MAX_USED = 10_000
MAX_NAME = 200
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures that are accepted: those with a public key. "none" and HS256 are never accepted."""


class SignInError(ChurnError):
    """Somebody who is not let in: `why` chooses the page, `detail` names the check that failed."""

    exit_code = 2

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__("the sign-in must be one of the identity provider", got=detail or why)
        self.why, self.detail = why, detail


@dataclass(frozen=True, kw_only=True)
class OidcClient:
    """`[serving.oidc]` with its secret: the provider, this client, and what its claims mean."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    label: str
    scopes: tuple[str, ...]
    name_claim: str
    roles_claim: str
    roles: Mapping[Role, frozenset[str]]


@dataclass(frozen=True)
class Pending:
    """A sign-in that was begun in a browser: the secrets that its answer must match."""

    state: str
    nonce: str
    verifier: str
    next: str


class Provider:
    """The identity provider of a client. Its addresses are asked for once an hour, its keys when a
    token has an unknown one, at most once a minute.
    """

    def __init__(self, client: OidcClient) -> None:
        self.client = client
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._used: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, target: str) -> tuple[str, Pending]:
        """The provider's address to sign in at, and what its answer must match.

        `target` is the page to show afterwards. SignInError if the provider does not answer.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address, _ = self._session().create_authorization_url(
            self._endpoint("authorization_endpoint"),
            state=state,
            nonce=nonce,
            code_verifier=verifier,
        )
        return address, Pending(state, nonce, verifier, target)

    def finish(self, pending: Pending | None, answer: Mapping[str, str]) -> User:
        """Who signed in, with the role of their claims. SignInError for everyone else.

        `answer` holds the parameters that the provider sent back. Each sign-in counts once.
        """
        begun = self._checked(pending, answer)
        token = self._token(answer["code"], begun)
        claims = self._claims(token, begun.nonce)
        role = role_of(claims, self.client)
        if role is None:
            raise SignInError("no_role", name_of(claims, self.client))
        return User(name=name_of(claims, self.client), role=role)

    def _checked(self, pending: Pending | None, answer: Mapping[str, str]) -> Pending:
        """The sign-in that the answer belongs to, used up."""
        state = answer.get("state", "")
        if pending is None or not hmac.compare_digest(state.encode(), pending.state.encode()):
            raise SignInError("expired")
        with self._lock:
            if state in self._used:
                raise SignInError("expired")
            self._used[state] = None
            while len(self._used) > MAX_USED:
                self._used.popitem(last=False)
        if answer.get("iss", self.client.issuer) != self.client.issuer:  # RFC 9207
            raise SignInError("invalid", "iss")
        if "error" in answer:
            code = answer["error"]
            known = re.fullmatch(r"[a-z_]{1,60}", code)
            raise SignInError("cancelled", code if known else "error")
        if not answer.get("code"):
            raise SignInError("invalid", "code")
        return pending

    def _token(self, code: str, pending: Pending) -> dict[str, Any]:
        """The provider's answer to the code."""
        from authlib.common.errors import AuthlibBaseError
        from requests.exceptions import RequestException

        endpoint = self._endpoint("token_endpoint")
        try:
            found = self._session().fetch_token(
                endpoint, code=code, code_verifier=pending.verifier, allow_redirects=False
            )
        except AuthlibBaseError as failure:
            raise SignInError("invalid", str(failure.error)[:60]) from None
        except (RequestException, ValueError) as failure:
            raise SignInError("unreachable", type(failure).__name__) from None
        return dict(found)

    def _claims(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of the ID token, its signature, issuer, audience, times and nonce checked."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError

        written = token.get("id_token")
        if not isinstance(written, str):
            raise SignInError("invalid", "id_token")
        try:
            decoded = jwt.decode(written, self._keys_for(written), algorithms=ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self.client.issuer},
                    "aud": {"essential": True, "value": self.client.client_id},
                    "sub": {"essential": True},
                },
                {
                    "nonce": nonce,
                    "client_id": self.client.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, KeyError) as failure:
            claim = getattr(failure, "claim", None) or getattr(failure, "error", "")
            raise SignInError("invalid", str(claim or type(failure).__name__)[:60]) from None
        return dict(claims)

    def _keys_for(self, written: str) -> KeySet:
        """The provider's keys, asked for again if the token names one that is not among them."""
        from joserfc.jwk import KeySet
        from joserfc.jws import extract_compact

        wanted = extract_compact(written.encode()).headers().get("kid")
        now = time.monotonic()
        if self._keys is not None:
            asked, keys = self._keys
            known = wanted is None or any(key.kid == wanted for key in keys)
            if now - asked < (METADATA_SECONDS if known else KEYS_SECONDS):
                return keys
        keys = KeySet.import_key_set(self._json(self._endpoint("jwks_uri")))  # type: ignore[arg-type]
        self._keys = (now, keys)
        return keys

    def _endpoint(self, name: str) -> str:
        address = self._discovered().get(name)
        if not isinstance(address, str) or not loopback_or_https(address):
            raise SignInError("unreachable", name)
        return address

    def _discovered(self) -> dict[str, Any]:
        """The provider's metadata (OpenID Connect Discovery 1.0)."""
        now = time.monotonic()
        if self._metadata is not None and now - self._metadata[0] < METADATA_SECONDS:
            return self._metadata[1]
        found = self._json(f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.client.issuer:
            raise SignInError("unreachable", "issuer")
        self._metadata = (now, found)
        return found

    def _json(self, address: str) -> dict[str, Any]:
        from requests.exceptions import RequestException

        try:
            answer = self._session().get(address, withhold_token=True, allow_redirects=False)
            answer.raise_for_status()
            found = answer.json()
        except (RequestException, ValueError) as failure:
            raise SignInError("unreachable", type(failure).__name__) from None
        if not isinstance(found, dict):
            raise SignInError("unreachable", "no JSON object")
        return found

    def _session(self) -> Any:
        from authlib.integrations.requests_client import OAuth2Session

        methods = () if self._metadata is None else self._metadata[1].get(AUTH_METHODS) or ()
        posts = "client_secret_post" in methods and "client_secret_basic" not in methods
        return OAuth2Session(
            self.client.client_id,
            self.client.client_secret,
            token_endpoint_auth_method="client_secret_post" if posts else "client_secret_basic",
            scope=" ".join(self.client.scopes),
            redirect_uri=self.client.redirect_uri,
            code_challenge_method="S256",
            default_timeout=TIMEOUT_SECONDS,
        )


AUTH_METHODS = "token_endpoint_auth_methods_supported"


def role_of(claims: Mapping[str, Any], client: OidcClient) -> Role | None:
    """The most powerful role that the claim grants; None if it grants none."""
    found = _values(claims, client.roles_claim)
    return next((role for role in reversed(ROLES) if found & client.roles.get(role, set())), None)


def name_of(claims: Mapping[str, Any], client: OidcClient) -> str:
    """What the person is called here: the configured claim, or the subject where it is missing, or
    is an address that the provider has not verified.
    """
    name = claims.get(client.name_claim)
    unverified = client.name_claim == "email" and claims.get("email_verified") is False
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or unverified:
        name = str(claims["sub"])
    return name.strip()[:MAX_NAME]


def _values(claims: Mapping[str, Any], name: str) -> set[str]:
    """The values of a claim; dots lead into objects, as in "realm_access.roles"."""
    value: Any = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return {value}
    return {one for one in value if isinstance(one, str)} if isinstance(value, list) else set()
