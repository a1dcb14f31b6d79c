"""Signatures of webhooks by the specification of Standard Webhooks (symmetric, version 1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from churn.errors import ConfigError

__all__ = ["key_of", "signature"]

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64


def key_of(secret: str) -> bytes:
    """The key in a secret such as "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 24 to 64 bytes.

    ConfigError, which never shows the secret, where it is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        rule = f'a webhook secret must be "{PREFIX}" and {SHORTEST} to {LONGEST} bytes in base64'
        fix = f"Make one with `echo {PREFIX}$(openssl rand -base64 32)`."
        raise ConfigError(f"[delivery.webhook] secret: {rule}", fix=fix)
    return key


def signature(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """What goes into the header `webhook-signature`.

    >>> key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> signature(key, message_id="msg_1", timestamp=1614265330, body=b"{}").startswith("v1,")
    True
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
