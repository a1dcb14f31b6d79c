"""Expected against observed orders and margin: in total and per customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
import pandas as pd

from churn.modeling.dataset import BASE_HORIZONS, Dataset, row_weights
from churn.modeling.metrics import Interval, bootstrap
from churn.modeling.model import ChurnModel
from churn.modeling.portable import LIFETIME_FEATURES

AMOUNTS = ("orders", "margin")


@dataclass(frozen=True)
class JudgedAmount:
    """One predictor's expected total over all customers in the horizon, and the observed total.

    `ratio` is expected over observed, `error` the mean absolute error per customer; both with a 95
    % interval over customers. Margin is in the currency of the data. `beyond_fence` is the part of
    `came` (the observed total) from single orders beyond the fence up to which models learn from
    them; 0 for orders.
    """

    amount: str
    predictor: str
    expected: float
    came: float
    ratio: Interval
    error: Interval
    beyond_fence: float = 0.0

    @property
    def beyond_fence_share(self) -> float:
        """`beyond_fence` as a share of the observed total."""
        return self.beyond_fence / self.came if self.came > 0 else 0.0

    def to_dict(self) -> dict[str, object]:
        """Plain JSON; None for undefined values."""
        intervals = {"ratio": self.ratio, "error": self.error}
        flat: dict[str, object] = {
            "amount": self.amount,
            "predictor": self.predictor,
            "expected": self.expected,
            "came": self.came,
            "beyond_fence": self.beyond_fence,
        }
        for name, one in intervals.items():
            values = (one.estimate, one.low, one.high)
            flat[name] = [value if isfinite(value) else None for value in values]
        return flat


def judge_amounts(
    model: ChurnModel, test: Dataset, *, replicates: int = 200, seed: int = 0
) -> tuple[JudgedAmount, ...]:
    """Expectations for eligible customers by the model, by BG/NBD with Gamma-Gamma (`lifetime`, if
    its features exist) and by each customer's own past rate (`own_rate`).
    """
    rows = test.eligible
    came = {
        "orders": rows["horizon_orders"].to_numpy(),
        "margin": model.margin_rate * rows["horizon_net_spend"].to_numpy(),
    }
    weight = _sample_weights(rows)
    excess = float(weight @ (rows["horizon_net_spend"] - rows["horizon_fenced_spend"]))
    beyond = {"orders": 0.0, "margin": model.margin_rate * excess}
    draw = _draw(rows, replicates, seed)
    return tuple(
        replace(
            _judged(amount, name, weight, expected[amount], came[amount], draw),
            beyond_fence=beyond[amount],
        )
        for amount in AMOUNTS
        for name, expected in _expectations(model, rows).items()
    )


Expected = Mapping[str, np.ndarray]
Draw = Callable[[Callable[[np.ndarray], float]], Interval]


def _expectations(model: ChurnModel, rows: pd.DataFrame) -> dict[str, Expected]:
    said = model.predict_frame(rows[["customer_id", "status", *model.feature_names_]])
    found: dict[str, Expected] = {
        "model": {
            "orders": said["expected_orders"].to_numpy(),
            "margin": said["expected_margin"].to_numpy(),
        }
    }
    if set(LIFETIME_FEATURES) <= set(model.feature_names_):
        per_day = model.amounts_["orders_per_day"]
        found["lifetime"] = {
            "orders": np.nan_to_num(per_day * rows["expected_purchase_days"].to_numpy()),
            "margin": model.margin_rate
            * np.nan_to_num(rows["expected_spend_in_horizon"].to_numpy()),
        }
    return found | {"own_rate": _own_rate(model, rows)}


def _own_rate(model: ChurnModel, rows: pd.DataFrame) -> Expected:
    """Orders of the whole past, and margin of the last three horizons, scaled to one horizon; a
    tenure under one horizon counts as one.
    """
    horizon = model.clock_.horizon_days
    tenure = rows["tenure_days"].fillna(horizon).clip(lower=horizon).to_numpy()
    seen = np.minimum(tenure, BASE_HORIZONS * horizon)
    spend = rows["net_spend_three_horizons"].fillna(0.0).clip(lower=0).to_numpy()
    return {
        "orders": rows["orders_count"].fillna(0.0).to_numpy() * horizon / tenure,
        "margin": model.margin_rate * spend * horizon / seen,
    }


def _sample_weights(rows: pd.DataFrame) -> np.ndarray:
    weight = row_weights(rows)
    return np.ones(len(rows)) if weight is None else weight


def _draw(rows: pd.DataFrame, replicates: int, seed: int) -> Draw:
    customer, sample = pd.factorize(rows["customer_id"])[0], _sample_weights(rows)
    return lambda statistic: bootstrap(
        lambda weights: statistic(weights * sample), customer, replicates=replicates, seed=seed
    )


def _judged(
    amount: str,
    predictor: str,
    weight: np.ndarray,
    expected: np.ndarray,
    came: np.ndarray,
    draw: Draw,
) -> JudgedAmount:
    def ratio(weights: np.ndarray) -> float:
        total = float(weights @ came)
        return float(weights @ expected) / total if total > 0 else float("nan")

    def error(weights: np.ndarray) -> float:
        total = weights.sum()
        return float(weights @ np.abs(expected - came) / total) if total > 0 else float("nan")

    sums = float(weight @ expected), float(weight @ came)
    return JudgedAmount(amount, predictor, *sums, draw(ratio), draw(error))
