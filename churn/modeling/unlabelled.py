"""A model without labels: BG/NBD and Gamma-Gamma, from the newest histories alone."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churn.errors import GateError
from churn.modeling.dataset import AMOUNTS, Dataset
from churn.modeling.level import fit_bg_nbd
from churn.modeling.portable import (
    LIFETIME_FEATURES,
    NO_SHARES,
    bg_nbd_no_purchase,
    lifetime_amounts,
)


def without_labels(dataset: Dataset) -> dict[str, Any]:
    """BG/NBD as a baseline whose probabilities are its own, without a calibration."""
    bg_nbd = {"bg_nbd": fit_bg_nbd(dataset.newest), "horizon_days": dataset.clock.horizon_days}
    return bg_nbd | {"intercept": 0.0, "coefficients": [1.0]}


def lifetime_alone(eligible: pd.DataFrame) -> dict[str, Any]:
    """The spec of amounts if the lifetime models predict them for everyone."""
    return {
        "orders_per_day": _orders_per_day(eligible),
        "lifetime": list(AMOUNTS),
        "lapsed_share": dict(NO_SHARES),
        "tail_factor": 1.0,
    }


def can_forecast(dataset: Dataset) -> bool:
    """Whether the newest rows have the features of the lifetime models, and anybody is eligible."""
    rows = dataset.newest
    return set(LIFETIME_FEATURES) <= set(rows) and bool((rows["status"] == "eligible").any())


def forecast_outcomes(dataset: Dataset) -> pd.DataFrame:
    """The newest rows with forecasts in place of outcomes: `lapse` as a probability, and orders and
    spend if retained, from which the rates of groups are made.

    Customers without a purchase are left out. Raises GateError if nobody is left or eligible.
    """
    rows = dataset.newest
    missing = [name for name in LIFETIME_FEATURES if name not in rows]
    if missing:
        rule = "without a closed label window only the lifetime models can predict"
        fix = 'Add "lifetime" to [features] families, or wait for newer data.'
        raise GateError(rule, got=f"features without {missing}", fix=fix)
    rows = rows[rows["purchase_days"] > 0]
    eligible = rows[rows["status"] == "eligible"]
    if eligible.empty:
        rule = "a model needs eligible customers"
        raise GateError(rule, got="none", fix="Check that no orders are missing.")
    spec = fit_bg_nbd(dataset.newest)
    amounts = {"orders_per_day": _orders_per_day(eligible)}
    orders, spend = lifetime_amounts(amounts, rows)
    lapse = bg_nbd_no_purchase(spec, dataset.clock.horizon_days, rows)
    return rows.assign(lapse=lapse, **{AMOUNTS["orders"]: orders, AMOUNTS["spend"]: spend})


def _orders_per_day(eligible: pd.DataFrame) -> float:
    return float(eligible["orders_count"].sum() / max(eligible["purchase_days"].sum(), 1.0))
