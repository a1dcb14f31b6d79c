"""Who is kept without offers, so that what offers earn can be measured."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from churn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["hash_position", "in_holdout"]


def in_holdout(customer_ids: Iterable[str], *, share: float, salt: str) -> NDArray[np.bool_]:
    """True for about `share` of all customers, the same ones on every run and in any order.

    A larger share keeps every member of a smaller one; another salt draws anew.

    >>> in_holdout(["ann", "bob", "cid"], share=1.0, salt="2025").tolist()
    [True, True, True]
    """
    if not 0 <= share <= 1:
        raise ConfigError(
            "the holdout share must be between 0 and 1", got=share, fix="Pass e.g. 0.1."
        )
    return np.asarray(hash_position(customer_ids, salt=salt) < share)


def hash_position(customer_ids: Iterable[str], *, salt: str) -> NDArray[np.float64]:
    """Each customer's own place in [0, 1), uniform over customers and fixed by id and salt."""
    if not salt:
        raise ConfigError(
            "the holdout salt must not be empty",
            got=repr(salt),
            fix='Choose any text once and keep it, e.g. "2025".',
        )
    keyed = blake2b(digest_size=8, key=blake2b(salt.encode()).digest())
    digests = b"".join(_digest(keyed.copy(), customer_id) for customer_id in customer_ids)
    # The top 53 bits: as many as a float holds, so that no place rounds up to 1.
    return (np.frombuffer(digests, dtype=">u8") >> np.uint64(11)) / 2.0**53


def _digest(keyed: blake2b, customer_id: str) -> bytes:
    keyed.update(customer_id.encode())
    return keyed.digest()
