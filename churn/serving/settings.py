"""Settings of `[serving]`: the parts of the service, and the file that pages read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from churn.campaigns.delivery.settings import loopback_or_https
from churn.data.settings import STRICT
from churn.errors import ConfigError
from churn.serving.dashboard.access import Role
from churn.serving.dashboard.oidc import CALLBACK

VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"


@dataclass(frozen=True, kw_only=True)
class UserSettings:
    """`[serving.users.NAME]`: the role of a user, and the environment variables that hold the
    scrypt hash of the password and the API key.
    """

    __pydantic_config__ = STRICT
    role: Role
    password_variable: Annotated[str, Field(pattern=VARIABLE)] | None = None
    api_key_variable: Annotated[str, Field(pattern=VARIABLE)] | None = None


@dataclass(frozen=True, kw_only=True)
class OidcSettings:
    """`[serving.oidc]`: signing in with an identity provider (OpenID Connect).

    `redirect_uri` is the address of these pages followed by `/login/callback`, as registered with
    the provider. `roles` names the values of `roles_claim` that grant each role; dots lead into
    objects. `name_claim` is what a person is called here; `label` is the text of the button.
    """

    __pydantic_config__ = STRICT
    issuer: str
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_variable: Annotated[str, Field(pattern=VARIABLE)]
    redirect_uri: str
    roles: dict[Role, list[str]]
    roles_claim: Annotated[str, Field(min_length=1)] = "groups"
    name_claim: Annotated[str, Field(min_length=1)] = "email"
    scopes: list[str] = field(default_factory=lambda: ["openid", "email", "profile"])
    label: Annotated[str, Field(min_length=1, max_length=60)] = "single sign-on"

    def check(self) -> None:
        """Raises ConfigError if nobody could sign in, or only without TLS."""
        for name, address in (("issuer", self.issuer), ("redirect_uri", self.redirect_uri)):
            if not loopback_or_https(address):
                rule = f"[serving.oidc] {name} must be an https address, or one of this machine"
                raise ConfigError(rule, got=repr(address), fix="Write e.g. https://login.shop.com.")
        if urlsplit(self.redirect_uri).path != CALLBACK:
            rule = f"[serving.oidc] redirect_uri must be the address of the pages with {CALLBACK}"
            fix = f'Write e.g. "https://churn.shop.com{CALLBACK}".'
            raise ConfigError(rule, got=repr(self.redirect_uri), fix=fix)
        if not any(self.roles.values()):
            fix = 'Write e.g. analyst = ["crm"].'
            raise ConfigError("[serving.oidc.roles] must grant at least one role", fix=fix)
        if "openid" not in self.scopes:
            fix = 'Add "openid".'
            raise ConfigError("[serving.oidc] scopes must contain openid", fix=fix)


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """`[serving]`: which parts `churn serve` answers for, the file that `churn publish` writes and
    that pages, report and digest read, and the limits of the API.

    `pages` is "auto" by default: they are served if something has been published. Without `users`
    and `oidc` they are open to this machine alone. `scores` is the file of the last batch;
    `requests_per_minute` is for each key and process; after a signal to stop, requests are still
    served for `drain_seconds`.
    """

    __pydantic_config__ = STRICT
    unsubscribe: bool = True
    pages: bool | Literal["auto"] = "auto"
    published: str = "out/page.duckdb"
    users: dict[str, UserSettings] = field(default_factory=dict)
    oidc: OidcSettings | None = None
    api: bool = False
    scores: str = "scores.parquet"
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    max_body_bytes: Annotated[int, Field(ge=1_000, le=1_000_000_000)] = 8_000_000
    requests_per_minute: Annotated[int, Field(ge=1)] = 6_000
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 3.0

    @property
    def has_login(self) -> bool:
        """Whether the pages are for those who log in alone."""
        return bool(self.users) or self.oidc is not None

    def check(self) -> None:
        """Raises ConfigError if every part is switched off, or a user cannot log in."""
        if self.oidc is not None:
            self.oidc.check()
        for name, user in self.users.items():
            if user.password_variable is None and user.api_key_variable is None:
                rule = (
                    f"[serving.users.{name}] must name a password_variable or an api_key_variable"
                )
                raise ConfigError(
                    rule, fix=f'Write e.g. password_variable = "{name.upper()}_HASH".'
                )
        if not (self.unsubscribe or self.pages or self.api):
            rule = "[serving] must switch on at least one part"
            raise ConfigError(rule, fix="Set e.g. unsubscribe = true.")
