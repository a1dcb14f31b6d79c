"""Value objects as plain JSON, in which undefined values are null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from churn.modeling.metrics import Interval


def as_plain(value: object) -> object:
    """Objects as mappings of their fields, intervals as [estimate, low, high], NaN as None.

    >>> as_plain(Interval(0.5, 0.4, float("nan")))
    [0.5, 0.4, None]
    """
    if isinstance(value, Interval):
        return [as_plain(bound) for bound in (value.estimate, value.low, value.high)]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_plain(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
