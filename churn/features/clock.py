"""The time windows of features."""

from dataclasses import dataclass
from typing import Literal, get_args

from churn.errors import ConfigError

WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)
LEAST = {"horizon_days": 1, "lookback_days": 1, "min_tenure_days": 0, "lead_days": 0}


Mode = Literal["purchases", "contractual"]


@dataclass(frozen=True, kw_only=True)
class FeatureClock:
    """The horizon H, the lookback L and the minimum tenure, in whole days.

    `mode` is what a customer can lapse from: purchases or a subscription. Which subscriptions are
    up for renewal also depends on `lead_days`.
    """

    horizon_days: int
    lookback_days: int
    min_tenure_days: int = 0
    lead_days: int = 0
    mode: Mode = "purchases"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            fix = 'Pass "purchases" or "contractual".'
            raise ConfigError("mode must be a known one", got=repr(self.mode), fix=fix)
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                rule = f"{name} must be a whole number >= {least}"
                raise ConfigError(rule, got=value, fix=f"Pass e.g. {max(least, 28)}.")

    @property
    def is_contractual(self) -> bool:
        """Whether a lapse is a subscription that is not renewed."""
        return self.mode == "contractual"

    @property
    def window_days(self) -> int:
        """Half a horizon, at least a day: the width of an activity window."""
        return max(1, self.horizon_days // 2)
