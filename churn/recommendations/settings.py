"""What a shop says about its recommendations: the section `[recommend]` of `churn.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from churn.data.settings import STRICT
from churn.modeling.panel import Auto


@dataclass(frozen=True, kw_only=True)
class RecommendSettings:
    """`horizon_days`: purchases of so many days are what lists are judged by and chosen for (auto:
    the horizon of the model). `exclude` names products and categories that are never looked at:
    postage, carrier bags.

    Only what somebody bought in the last `sold_within_days` is recommended (default: two
    horizons), and only what `least_buyers` customers bought counts as new for anybody.
    """

    __pydantic_config__ = STRICT
    horizon_days: Annotated[int, Field(ge=1)] | Auto = "auto"
    exclude: tuple[str, ...] = ()
    sold_within_days: Annotated[int, Field(ge=1)] | None = None
    least_buyers: Annotated[int, Field(ge=1)] = 5

    def within_days(self, horizon_days: int) -> int:
        """The days in which a product must have been sold."""
        return self.sold_within_days or 2 * horizon_days
