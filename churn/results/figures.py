"""Formatting of figures: shares, and estimates with their intervals."""

from __future__ import annotations

from math import isfinite
from typing import Protocol


class Bounded(Protocol):
    """An estimate and the bounds of its interval."""

    @property
    def estimate(self) -> float:
        """The estimate."""

    @property
    def low(self) -> float:
        """The lower bound."""

    @property
    def high(self) -> float:
        """The upper bound."""


def share(value: float | None, *, absent: str = "-") -> str:
    """A share in percent; `absent` if it is undefined.

    >>> share(0.1234), share(None), share(float("nan"))
    ('12.3%', '-', '-')
    """
    return f"{value:.1%}" if value is not None and isfinite(value) else absent


def interval(value: Bounded, *, digits: int = 4, sign: str = "") -> str:
    """An estimate and the bounds of its interval, `0.8432 [0.8301, 0.8560]`."""
    estimate, low, high = (
        f"{number:{sign}.{digits}f}" for number in (value.estimate, value.low, value.high)
    )
    return f"{estimate} [{low}, {high}]"


def difference(value: Bounded) -> str:
    """A difference and the bounds of its interval, with signs: `+0.0021 [-0.0004, +0.0046]`."""
    return interval(value, sign="+")
