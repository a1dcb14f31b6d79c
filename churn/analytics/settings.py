"""`[metrics]`: what retention metrics and cohorts are computed with."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from churn.data.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    """`[metrics]`: who is active, the length of a period, splits, which costs count for what.

    `target_percent` are bounds of the retention rate that the shop set itself; there are none by
    default, because the same shop reads 68 % a quarter and 91 % a month.
    """

    __pydantic_config__ = STRICT
    active_days: Annotated[int, Field(ge=1)] | None = None
    period: Annotated[int, Field(ge=1)] | Literal["month", "quarter", "year"] = 28
    by: list[str] | None = None
    value_days: Annotated[int, Field(ge=1)] = 365
    retention_costs: list[str] | None = None
    acquisition_costs: list[str] | None = None
    target_percent: tuple[float, float] | None = None
