"""Whether a model was trained with the settings it is used with."""

from __future__ import annotations

from churn.config import Settings
from churn.errors import ConfigError
from churn.modeling.model import ChurnModel


def check_agreement(settings: Settings, fitted: ChurnModel) -> None:
    """Raises ConfigError if the settings differ from those that the model was trained with."""
    data = fitted.manifest_.get("data", {})  # empty for a model saved from Python
    zone = settings.data.day_timezone
    pairs = {
        "[churn] mode": (settings.churn.mode, fitted.clock_.mode),
        "[churn] horizon_days": (settings.churn.horizon_days, fitted.clock_.horizon_days),
        "[churn] lookback_days": (settings.churn.lookback_days, fitted.clock_.lookback_days),
        "[churn] min_tenure_days": (settings.churn.min_tenure_days, fitted.clock_.min_tenure_days),
        "[churn] lead_days": (settings.churn.lead_days, fitted.cutoffs_.lead_days),
        "[value] margin_rate": (settings.value.margin_rate, fitted.margin_rate),
        "[data] currency": (
            settings.data.currency,
            data.get("currency", settings.data.currency),
        ),
        "[data] day_timezone": (zone, data.get("day_timezone", zone)),
    }
    if fitted.clock_.is_contractual:
        grace = (settings.churn.grace_days, fitted.cutoffs_.grace_days)
        pairs["[churn] grace_days"] = grace
    for key, (now, then) in pairs.items():
        if now not in ("auto", then):
            rule = f"{key} must be {then!r}, as in the training of the model"
            raise ConfigError(rule, got=repr(now), fix="Change it back, or train again.")
