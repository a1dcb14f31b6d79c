"""What `churn.toml` says about sending."""

from __future__ import annotations

from dataclasses import dataclass

from churn.data.settings import STRICT
from churn.retention.delivery.quiet import QuietHours

__all__ = ["DeliverySettings"]


@dataclass(frozen=True, kw_only=True)
class DeliverySettings:
    """`[delivery]`: the hours in which nothing is sent, such as "21:00-08:00", and their time zone.

    Without a `timezone` of its own the shop's `day_timezone` holds.
    """

    __pydantic_config__ = STRICT
    quiet_hours: str | None = None
    timezone: str | None = None

    def quiet(self, day_timezone: str) -> QuietHours | None:
        """The quiet hours of a shop of that zone; None where it may send at any time."""
        if self.quiet_hours is None:
            return None
        return QuietHours.parse(self.quiet_hours, timezone=self.timezone or day_timezone)
