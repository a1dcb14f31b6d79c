"""`[digest]`: who gets the first screen as a message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from churn.data.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class DigestSettings:
    """`[digest]`: the addresses, the transport, and the address of the pages to link to."""

    __pydantic_config__ = STRICT
    to: list[str] = field(default_factory=list)
    through: Literal["email", "webhook"] = "email"
    link: str | None = None
