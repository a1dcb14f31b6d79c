"""Settings of model tracking."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class TrackingSettings:
    """Where runs are recorded, and under which names."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True}
    uri: str = "sqlite:///mlflow.db"
    experiment: str = "churn"
    model_name: str = "churn"
