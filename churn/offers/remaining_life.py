"""What retained customers are worth beyond the horizon.

Plans decide by the horizon alone, since an effect is measured within it and nothing is known of how
long it lasts. Beside that stands the value over the remaining life, if those whom an offer retains
stay on with the probability that the model gives them now: a margin multiple (Gupta and Lehmann
2003, Customers as assets), discounted and cut off after some years. The two values are of the same
money and do not add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.arrays import Floats
from churn.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

YEAR_DAYS = 365.25


@dataclass(frozen=True, kw_only=True)
class RemainingLife:
    """How many years of a customer's life count, from the plan's date on, and by which share a
    margin is worth less for each year that it comes later.
    """

    years: float = 3.0
    discount_rate: float = 0.1

    def __post_init__(self) -> None:
        for name, most in (("years", 100.0), ("discount_rate", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                rule = f"the {name} of the remaining life must be between 0 and {most:g}"
                raise ConfigError(rule, got=value, fix="Pass e.g. RemainingLife(years=3.0).")

    def multiple(self, churn_probability: Floats, horizon_days: float) -> Floats:
        """The present value of a retained customer's margin over the remaining life, in margins of
        one horizon; at least 1, NaN without a probability.

        1 + q + q^2 + ... with q = (1 - P(lapse)) x the discount of one horizon, for each whole
        horizon within the years, and for one at least.

        >>> life = RemainingLife(years=1.0, discount_rate=0.0)
        >>> life.multiple(np.array([1.0, 0.5, 0.0]), horizon_days=91).tolist()
        [1.0, 1.875, 4.0]
        """
        horizons = max(int(self.years * YEAR_DAYS / horizon_days), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_q = np.log1p(-churn_probability)
            log_q = log_q - np.log1p(self.discount_rate) * horizon_days / YEAR_DAYS
            total = np.expm1(horizons * log_q) / np.expm1(log_q)
        return np.asarray(np.where(log_q == 0, float(horizons), total))

    def of_plan(self, table: pa.Table, scores: pa.Table) -> dict[str, Any] | None:
        """The `expected_value` of a plan's offers over the remaining life, with `years`,
        `discount_rate` and `horizon_days`, as plain JSON; None unless the scores state one horizon.

        `table` and `scores` have the same customers in the same order.
        """
        if "horizon_days" not in scores.column_names:
            return None
        days = scores["horizon_days"].drop_null().unique().to_pylist()
        if len(days) != 1:
            return None
        horizon = int(days[0])
        risk = scores["churn_probability"].to_numpy()
        gain, cost = (table[name].to_numpy() for name in ("expected_gain", "expected_cost"))
        served = gain != 0  # nobody without a probability gets an offer
        value = gain[served] * self.multiple(risk[served], horizon)
        return {
            "years": self.years,
            "discount_rate": self.discount_rate,
            "horizon_days": horizon,
            "expected_value": float(value.sum() - cost.sum()),
        }
