"""Settings of recommendations: the section `[recommend]` of `churn.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from churn.data.settings import STRICT
from churn.modeling.panel import Auto


@dataclass(frozen=True, kw_only=True)
class RecommendSettings:
    """`horizon_days` is the period whose purchases are predicted (auto: the horizon of the model).
    `exclude` names products and categories to ignore, such as postage and carrier bags.

    Only products sold in the last `sold_within_days` are recommended (default: two horizons), and
    only products with at least `least_buyers` buyers are recommended to new buyers.
    """

    __pydantic_config__ = STRICT
    horizon_days: Annotated[int, Field(ge=1)] | Auto = "auto"
    exclude: tuple[str, ...] = ()
    sold_within_days: Annotated[int, Field(ge=1)] | None = None
    least_buyers: Annotated[int, Field(ge=1)] = 5

    def within_days(self, horizon_days: int) -> int:
        """The number of days within which a product must have been sold."""
        return self.sold_within_days or 2 * horizon_days
