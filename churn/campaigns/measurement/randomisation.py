"""How a studentised difference spreads over random assignments of the same customers.

Margins have heavy tails: a few customers buy for hundreds of others, and the normal approximation
then calls differences clear that are not. The assignment itself was random, however, so drawing it
again shows how far the difference strays without an effect, whatever the outcome's distribution.
"""

from __future__ import annotations

import numpy as np

from churn.arrays import Bools, Floats

MOST_CUSTOMERS = 100_000  # with 1,999 draws, which take some 11 CPU s of them
LEVEL = 0.05
SEED = 2_000


def draws_for(customers: int) -> int:
    """1,999 draws, which with the assignment made are 2,000: 50 on either side; 399 if each takes
    long because the base is large. The level is exact with both.
    """
    return 1_999 if customers <= MOST_CUSTOMERS else 399


def randomisation_tails(outcomes: Floats, treated: Bools, *, draws: int | None = None) -> Floats:
    """The 2.5 and 97.5 % quantiles, shape (outcomes, 2), of (mean of treated - mean of control) /
    Welch's standard error over random assignments with groups of the same sizes.

    `outcomes` has shape (customers, outcomes) and contains no effect: subtract the estimate from
    the treated. The test is exact if there is no effect, and asymptotically valid if variances
    differ. The draws are the same in every call. Source: Janssen (1997); Chung and Romano (2013),
    "Exact and asymptotically robust permutation tests".

    >>> coin = np.tile([0.0, 1.0], 500)[:, None]
    >>> randomisation_tails(coin, np.arange(1_000) < 500).round()
    array([[-2.,  2.]])
    """
    customers, fewer = len(treated), int(min(treated.sum(), (~treated).sum()))
    if fewer < 2:
        return np.full((outcomes.shape[1], 2), np.nan)
    draws = draws or draws_for(customers)
    centred = outcomes - outcomes.mean(axis=0)
    sums, squares = centred.sum(axis=0), (centred**2).sum(axis=0)
    sign = 1.0 if 2 * treated.sum() <= customers else -1.0  # which group is drawn, the smaller
    random = np.random.default_rng(SEED)
    found = np.empty((draws, outcomes.shape[1]))
    for row in found:
        drawn = centred[random.choice(customers, fewer, replace=False, shuffle=False)]
        part, part_squares = drawn.sum(axis=0), (drawn**2).sum(axis=0)
        gap = part / fewer - (sums - part) / (customers - fewer)
        error = np.sqrt(
            _variance_of_mean(part, part_squares, fewer)
            + _variance_of_mean(sums - part, squares - part_squares, customers - fewer)
        )
        np.divide(sign * gap, error, out=row, where=error > 0)
        row[error == 0] = 0.0
    found.sort(axis=0)
    edge = round((draws + 1) * LEVEL / 2)
    return np.stack([found[edge - 1], found[-edge]], axis=1)


def _variance_of_mean(total: Floats, squares: Floats, customers: int) -> Floats:
    spread = np.maximum(squares - total**2 / customers, 0.0)
    return np.asarray(spread / (customers - 1) / customers)
