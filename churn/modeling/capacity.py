"""Contact capacity: exactly the top of a ranked list, ties broken by hash."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.data.ids import id_hashes
from churn.errors import ConfigError

Rank = Literal["probability", "value"]
RANKED_BY = {"probability": "churn_probability", "value": "value_at_risk"}


def ranked_by(rank: str) -> str:
    """The column of the scores by which customers are ranked.

    >>> ranked_by("value")
    'value_at_risk'
    """
    if rank not in RANKED_BY:
        rule = f"rank must be one of {list(RANKED_BY)}"
        raise ConfigError(rule, got=repr(rank), fix='Pass e.g. rank="value".')
    return RANKED_BY[rank]


def at_risk_count(capacity: float, eligible: int) -> int:
    """The number of eligible customers that a capacity allows: a share in (0, 1) or a whole number.

    >>> at_risk_count(0.1, 2231), at_risk_count(50, 2231)
    (223, 50)
    """
    whole = isinstance(capacity, int) and not isinstance(capacity, bool)
    if not isinstance(capacity, (int, float)) or capacity < 0 or (not whole and capacity >= 1):
        fix = "Pass e.g. 0.1 for 10 % of eligible customers, or 500 for 500 customers."
        raise ConfigError(
            "capacity must be a share in [0, 1) or a whole number", got=capacity, fix=fix
        )
    return min(eligible, int(capacity) if whole else round(capacity * eligible))


def top_positions(
    customer_id: pa.Array | pa.ChunkedArray, score: NDArray[np.float64], count: int
) -> NDArray[np.intp]:
    """Positions of the `count` highest scores, in the order of rows.

    Of those that tie at the lowest of them, the customers with the smallest hash are in.
    """
    score = np.asarray(score)
    if count <= 0 or count >= len(score):
        return np.arange(max(count, 0) and len(score))
    bar = -np.partition(-score, count - 1)[count - 1]
    above, tied = np.flatnonzero(score > bar), np.flatnonzero(score == bar)
    missing = count - len(above)
    if missing < len(tied):
        hashes = id_hashes(customer_id.take(tied).to_pylist())
        tied = tied[np.argsort(hashes, kind="stable")[:missing]]
    return np.sort(np.concatenate([above, tied]))
