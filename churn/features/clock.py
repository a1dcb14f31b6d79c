"""The lengths of time that features are measured in."""

from dataclasses import dataclass

from churn.errors import ConfigError

__all__ = ["WINDOWS_DAYS", "FeatureClock"]

WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)


@dataclass(frozen=True, kw_only=True)
class FeatureClock:
    """The horizon H, the lookback L and the minimum tenure, in whole days."""

    horizon_days: int
    lookback_days: int
    min_tenure_days: int = 0

    def __post_init__(self) -> None:
        for name, least in (("horizon_days", 1), ("lookback_days", 1), ("min_tenure_days", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                rule = f"{name} must be a whole number >= {least}"
                raise ConfigError(rule, got=value, fix=f"Pass e.g. {max(least, 28)}.")

    @property
    def window_days(self) -> int:
        """Half a horizon, at least a day: the width of an activity window."""
        return max(1, self.horizon_days // 2)
