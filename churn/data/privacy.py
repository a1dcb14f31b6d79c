"""The settings of `[privacy]`: the key under which the erased are hashed."""

from __future__ import annotations

from dataclasses import dataclass, field

from churn.data.settings import STRICT

__all__ = ["PrivacySettings"]


@dataclass(frozen=True, kw_only=True)
class PrivacySettings:
    """`[privacy]`: the key of the erased; where none is set it is made, beside the ledger."""

    __pydantic_config__ = STRICT
    key: str | None = field(default=None, repr=False)
