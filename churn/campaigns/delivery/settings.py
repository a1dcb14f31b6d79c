"""Settings of `[delivery]`: e-mail, webhook and its signature, hosts of the unsubscribe page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from churn.campaigns.delivery.mailbox import Mailbox
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.data.settings import STRICT
from churn.errors import ConfigError, shown_address
from churn.scoring.language import DEFAULT_LANGUAGE, language_codes

PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64
_HTTPS = "https://"
_INVALID = ' <>"'
"""Characters that would terminate an address in a header or a text."""
MAX_URL = 500
SECRETS = {
    "delivery.email.password": "SMTP_PASSWORD",
    "delivery.webhook.secret": "WEBHOOK_SECRET",
}
"""Settings of transports that must not be written in the file, and the variable that messages
suggest."""


def is_loopback(host: str) -> bool:
    """Whether the host can only be this machine.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "localhost.example")]
    [True, True, True, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def loopback_or_https(url: str) -> bool:
    """Whether it is the address of a web server reached over TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def key_of(secret: str) -> bytes:
    """The key in a secret such as "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 24 to 64 bytes.

    Raises ConfigError, which never shows the secret, if it is invalid.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        length = f"{MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes"
        rule = f'a webhook secret must be "{PREFIX}" and {length} in base64'
        fix = f"Create one with `echo {PREFIX}$(openssl rand -base64 32)`."
        raise ConfigError(f"[delivery.webhook] secret: {rule}", fix=fix)
    return key


def signature(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`.

    >>> key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> signature(key, message_id="msg_1", timestamp=1614265330, body=b"{}").startswith("v1,")
    True
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True, kw_only=True)
class EmailSettings:
    """`[delivery.email]`: the mail server, the sender, and the unsubscribe page.

    `sender` and `reply_to` are mailboxes, such as "Corner Shop <news@shop.example>"; `shop` and
    `address` appear in the footer of each message. The unsubscribe link is `unsubscribe_url`, a
    slash and a token of the message. `shop_url` is the default target of the button. Without a
    `host`, messages can be previewed but not sent.
    """

    __pydantic_config__ = STRICT
    sender: str
    unsubscribe_url: str
    shop: str
    address: str
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    reply_to: str | None = None
    shop_url: str | None = None
    templates: str | None = None
    language: str = DEFAULT_LANGUAGE
    messages_per_minute: Annotated[int, Field(ge=1)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3

    def __post_init__(self) -> None:
        for key in ("sender", "reply_to"):
            if getattr(self, key) is not None:
                Mailbox.parse(getattr(self, key), what=f"[delivery.email] {key}")
        for key in ("shop", "address", "shop_url", "unsubscribe_url", "host"):
            _check_line(key, getattr(self, key))
        for key in ("unsubscribe_url", "shop_url"):
            _check_https(key, getattr(self, key))
        if set(self.unsubscribe_url) & set("?#"):
            rule = (
                "[delivery.email] unsubscribe_url must end in a path, because a token is appended"
            )
            raise ConfigError(
                rule, got=shown_address(self.unsubscribe_url), fix="Remove the ? and #."
            )
        self._check_security()
        if self.language not in language_codes():
            rule = f"[delivery.email] language must be one of {list(language_codes())}"
            raise ConfigError(rule, got=repr(self.language), fix='Write e.g. language = "en".')

    def _check_security(self) -> None:
        if self.security == "none" and not is_loopback(self.host or "localhost"):
            rule = '[delivery.email] security = "none" is only for a server on this machine'
            raise ConfigError(rule, got=self.host, fix='Write security = "starttls" or "tls".')
        if (self.username is None) != (self.password is None):
            rule = "[delivery.email] username and password must be given together"
            fix = 'Write password = "${SMTP_PASSWORD}" next to the username.'
            raise ConfigError(rule, fix=fix)


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """`[delivery.webhook]`: where batches are posted, and the secret that signs them.

    The secret is "whsec_" and 24 to 64 bytes in base64. A batch that was not accepted is posted
    again up to `retries` times, with the same id.
    """

    __pydantic_config__ = STRICT
    url: str
    secret: str = field(repr=False)
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    batch: Annotated[int, Field(ge=1, le=10_000)] = 100

    def __post_init__(self) -> None:
        if not loopback_or_https(self.url):
            rule = "[delivery.webhook] url must start with https://"
            fix = "Only a receiver on this machine may use http."
            raise ConfigError(rule, got=shown_address(self.url), fix=fix)
        key_of(self.secret)


@dataclass(frozen=True, kw_only=True)
class DeliverySettings:
    """`[delivery]`: quiet hours, such as "21:00-08:00", their time zone, and the transports.

    `timezone` defaults to the shop's `day_timezone`.
    """

    __pydantic_config__ = STRICT
    quiet_hours: str | None = None
    timezone: str | None = None
    email: EmailSettings | None = None
    webhook: WebhookSettings | None = None

    def quiet(self, day_timezone: str) -> QuietHours | None:
        """The quiet hours of a shop in that zone; None if it may send at any time."""
        if self.quiet_hours is None:
            return None
        return QuietHours.parse(self.quiet_hours, timezone=self.timezone or day_timezone)


def _check_line(key: str, text: str | None) -> None:
    """Raises ConfigError if the text is blank or has control characters."""
    if text is None or (text.strip() and text.isprintable()):
        return
    rule = f"[delivery.email] {key} must be one line of text"
    raise ConfigError(rule, got=ascii(text), fix="Fix it.")


def _check_https(key: str, address: str | None) -> None:
    """Raises ConfigError unless the address can be used verbatim in a header and a message."""
    if address is None:
        return
    key = f"[delivery.email] {key}"
    if not address.startswith(_HTTPS):
        fix = f"Mail clients require it; write {_HTTPS}…"
        raise ConfigError(f"{key} must start with {_HTTPS}", got=shown_address(address), fix=fix)
    invalid = sorted({sign for sign in address if not sign.isascii() or sign in _INVALID})
    if invalid:
        rule = f"{key} must not contain {' '.join(invalid)!r}"
        raise ConfigError(rule, got=shown_address(address), fix=_encoding_fix(invalid, address))
    if len(address) > MAX_URL:
        rule = f"{key} must have at most {MAX_URL} characters"
        raise ConfigError(rule, got=len(address), fix="Use a shorter one.")


def _encoding_fix(invalid: Sequence[str], address: str) -> str:
    host = address.removeprefix(_HTTPS).partition("/")[0]
    if not host.isascii():
        return "Write the host in its ASCII form, which starts with xn--."
    return f"Percent-encode: write {' '.join(quote(sign, safe='') for sign in invalid)} instead."
