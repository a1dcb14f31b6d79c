"""What the API needs to know: limits, files, and how a shop writes its ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from churn.modeling.model import ChurnModel


@dataclass(frozen=True, kw_only=True)
class ApiLimits:
    """Limits for each request and each key; `requests_per_minute` holds per process."""

    max_rows: int = 1_000
    max_body_bytes: int = 8_000_000
    requests_per_minute: int = 6_000
    timeout_seconds: float = 10.0
    max_in_progress: int = 200

    @property
    def body_seconds(self) -> float:
        """How long a body may take to arrive: less than the whole request, so that a slow client
        hears 408 and not 503.
        """
        return 0.8 * self.timeout_seconds


@dataclass(frozen=True, kw_only=True)
class ApiSources:
    """The files that answers come from, and the shop's conventions.

    `load_model` loads the champion behind the pointer `champion`; `same_customer` is the form in
    which customer ids are compared; `erasure_key` opens the list of erased customers.
    """

    champion: Path
    load_model: Callable[[], ChurnModel]
    scores: Path
    ledger: Path
    run_id: str
    currency: str
    day_timezone: str
    language: str
    same_customer: Callable[[str], str] = str
    erasure_key: str | None = field(default=None, repr=False)
