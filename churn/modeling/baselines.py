"""Baselines that a model has to beat, calibrated on the same rows as the model.

`recency` (days since the last purchase), `active_windows` (the decayed share of active windows),
`logistic_rfm` and `bg_nbd`; for subscriptions also `renewals`: whether cancelled, number of
renewals, tenure. Each is a logistic regression on its terms, so all return probabilities. The
fallback is the lapse rate of the customer's group.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from churn.arrays import one_blas_thread
from churn.features.clock import FeatureClock
from churn.modeling.dataset import AMOUNTS, row_weights
from churn.modeling.level import fit_bg_nbd
from churn.modeling.portable import baseline, baseline_terms, fallback_group

PRIOR_ROWS = 20.0

LINEAR_TERMS: dict[str, list[list[str]]] = {
    "recency": [["recency_days", "log1p"]],
    "active_windows": [["active_window_share", "as is"]],
    "logistic_rfm": [
        ["recency_days", "log1p"],
        ["purchase_days", "log1p"],
        ["tenure_days", "log1p"],
        ["average_basket", "log1p"],
        ["expected_gap_days", "log1p"],
    ],
}
BASELINES = (*LINEAR_TERMS, "bg_nbd")
RENEWALS = "renewals"
RENEWAL_TERMS = [
    ["is_cancelled", "as is"],
    ["renewals_so_far", "log1p"],
    ["subscription_tenure_days", "log1p"],
    ["plan_days", "log1p"],
]


def fit_fallback(rows: pd.DataFrame, clock: FeatureClock) -> dict[str, Any]:
    """Smoothed lapse rate, and orders and net spend when retained, by status and recency bin.

    Bins end at half, one, two and four lookbacks. Each rate is shrunk towards that of its status,
    and a status towards the overall rate, with a weight of 20 rows. `row_weights` apply.
    """
    edges = [clock.lookback_days * factor for factor in (0.5, 1.0, 2.0, 4.0)]
    everyone = _smoothed(rows, {"lapse": 0.5, "orders": 1.0, "spend": 0.0}, prior_rows=1.0)
    groups: dict[str, dict[str, float]] = {}
    others = rows[rows["status"] != "eligible"]
    for status, members in others.groupby("status", observed=True):
        of_status = _smoothed(members, everyone)
        for bin_of, part in members.groupby(members["recency_days"].map(_bin(edges, str(status)))):
            groups[str(bin_of)] = _smoothed(part, of_status)
    return {"edges_days": edges, "groups": groups, "default": everyone}


def _bin(edges: list[float], status: str) -> Any:
    return lambda days: fallback_group(edges, status, days)


def _smoothed(
    rows: pd.DataFrame, prior: dict[str, float], *, prior_rows: float = PRIOR_ROWS
) -> dict[str, float]:
    weight = row_weights(rows)
    weight = np.ones(len(rows)) if weight is None else weight
    stayed = weight * (1 - rows["lapse"]).to_numpy()
    lapse = (rows["lapse"] @ weight + prior_rows * prior["lapse"]) / (weight.sum() + prior_rows)
    retained = stayed.sum() + prior_rows
    orders = (rows["horizon_orders"] @ stayed + prior_rows * prior["orders"]) / retained
    spend = (rows[AMOUNTS["spend"]] @ stayed + prior_rows * prior["spend"]) / retained
    return {"lapse": float(lapse), "orders": float(orders), "spend": max(float(spend), 0.0)}


def fit_baselines(
    rows: pd.DataFrame, buyers: pd.DataFrame, clock: FeatureClock
) -> dict[str, dict[str, Any]]:
    """The specs of all baselines as plain JSON, fitted on eligible rows with a `lapse` label.

    `buyers` are the rows of everyone who ever bought: BG/NBD also describes lapsed customers.
    """
    specs: dict[str, dict[str, Any]] = {
        name: {"terms": terms} for name, terms in LINEAR_TERMS.items()
    }
    newest = buyers[buyers["cutoff"] == buyers["cutoff"].max()]
    specs["bg_nbd"] = {"bg_nbd": fit_bg_nbd(newest), "horizon_days": clock.horizon_days}
    known = [term for term in RENEWAL_TERMS if term[0] in rows]
    if clock.is_contractual and known:
        specs[RENEWALS] = {"terms": known}
    target = rows["lapse"].to_numpy()
    return {name: fit_line(spec, rows, target) for name, spec in specs.items()}


def fit_line(spec: dict[str, Any], rows: pd.DataFrame, target: np.ndarray) -> dict[str, Any]:
    """The spec with a logistic regression of the target on its terms, weighted by `row_weights`."""
    weight = row_weights(rows)
    ones = np.ones(len(rows))
    return spec | _line(baseline_terms(spec, rows), target, ones if weight is None else weight)


def predict_baseline(spec: dict[str, Any], rows: pd.DataFrame) -> np.ndarray:
    """The lapse probability of every row, shape (rows,)."""
    return baseline(spec, rows)


def _line(terms: np.ndarray, target: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
    """A logistic regression, fitted on standardised terms, with coefficients in original units."""
    mean = np.average(terms, axis=0, weights=weight)
    scale = np.sqrt(np.average((terms - mean) ** 2, axis=0, weights=weight))
    scale = np.where(
        scale > 1e-12 * (1.0 + np.abs(mean)), scale, 1.0
    )  # anything smaller is rounding
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(), one_blas_thread():
        warnings.simplefilter("error")
        line = LogisticRegression(C=1e4, max_iter=1000)
        fitted = line.fit((terms - mean) / scale, target, sample_weight=weight)
    coefficients = fitted.coef_[0] / scale
    intercept = float(fitted.intercept_[0] - coefficients @ mean)
    return {"intercept": _steady(intercept), "coefficients": [_steady(c) for c in coefficients]}


def _steady(value: float) -> float:
    """Rounded to 12 digits, on which all runs on the same data agree."""
    return float(f"{value:.12g}")
