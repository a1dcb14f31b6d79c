"""What a change of a rate consists of: who is there (mix), and what the groups did (rate).

Kitagawa (1955), "Components of a difference between two rates".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.arrays import Floats


@dataclass(frozen=True)
class Decomposition:
    """The parts of a change of a rate, by group, shape (groups,); they add up to the change."""

    mix: Floats
    rate: Floats

    @property
    def change(self) -> float:
        """The change of the overall rate."""
        return float(self.mix.sum() + self.rate.sum())


def kitagawa(
    totals_before: Floats, events_before: Floats, totals_now: Floats, events_now: Floats
) -> Decomposition:
    """The decomposition of the change of events / totals, from counts by group.

    A group that is empty in one period has no rate there: it takes that of the other, so that its
    whole contribution is mix.

    >>> found = kitagawa(*map(np.array, ([80, 20], [72, 10], [50, 50], [45, 25])))
    >>> print(found.mix.sum().round(3), found.rate.sum().round(3))
    -0.12 0.0
    """
    shares = totals_before / totals_before.sum(), totals_now / totals_now.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        before, now = events_before / totals_before, events_now / totals_now
    before, now = np.where(np.isnan(before), now, before), np.where(np.isnan(now), before, now)
    before, now = np.nan_to_num(before), np.nan_to_num(now)
    return Decomposition(
        mix=(shares[1] - shares[0]) * (before + now) / 2,
        rate=(now - before) * (shares[0] + shares[1]) / 2,
    )
