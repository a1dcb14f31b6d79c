"""Which families of features to build, and where a user's own features are."""

from dataclasses import dataclass
from typing import Literal

from churn.data.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """`[features]`: `families` beyond the required ones, and a Python file of further features."""

    __pydantic_config__ = STRICT
    families: Literal["all"] | list[str] = "all"
    module: str | None = None
