"""Keys, rates and sizes: who may ask, how often, and how much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from churn.serving.api.problems import ProblemError
from churn.storage.api_keys import ApiKey, matching_key

if TYPE_CHECKING:
    from starlette.requests import Request

SCHEME = "bearer"
MAX_KEY = 128


def authorised(headers: Mapping[str, str], keys: Mapping[str, ApiKey]) -> ApiKey:
    """The key in `Authorization: Bearer …`; problem 401 without a valid one, 403 if revoked."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    challenge = {"www-authenticate": 'Bearer realm="churn"'}
    if scheme.lower() != SCHEME or not 0 < len(given) <= MAX_KEY:
        detail = "Send an API key as `Authorization: Bearer KEY`."
        raise ProblemError(401, "no-key", detail, headers=challenge)
    key = matching_key(keys, given)
    if key is None:
        raise ProblemError(401, "unknown-key", "There is no such key.", headers=challenge)
    if key.revoked_at is not None:
        raise ProblemError(403, "revoked-key", "The key was revoked. Ask for a new one.")
    return key


@dataclass
class RateLimit:
    """A token bucket for each key, refilled steadily; a burst of a tenth of a minute is allowed."""

    per_minute: int
    now: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str) -> None:
        """Counts a request; ProblemError 429 with `Retry-After` if there were too many."""
        rate, most = self.per_minute / 60, max(1.0, self.per_minute / 10)
        moment = self.now()
        tokens, since = self._buckets.get(name, (most, moment))
        tokens = min(most, tokens + (moment - since) * rate)
        if tokens < 1:
            wait = max(1, ceil((1 - tokens) / rate))
            detail = f"More than {self.per_minute} requests a minute with this key."
            raise ProblemError(429, "too-many-requests", detail, headers={"retry-after": str(wait)})
        self._buckets[name] = (tokens - 1, moment)


async def body_of(request: Request, limit: int, *, seconds: float, binary: bool = False) -> bytes:
    """The body of a JSON request; problem 413, 415 or 408 unless it is one, small and in time."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    kinds = ("application/json", *(["application/octet-stream", ""] if binary else []))
    if kind not in kinds or "content-encoding" in request.headers:
        detail = "The body must be application/json without a content-encoding."
        raise ProblemError(415, "not-json", detail)
    too_large = ProblemError(413, "too-large", f"The body must have at most {limit:,} bytes.")
    too_large.headers["connection"] = "close"
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 15 or int(length) > limit:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        detail = f"The body did not arrive within {seconds:g} seconds."
        raise ProblemError(408, "too-slow", detail, headers={"connection": "close"}) from None
    return b"".join(parts)
