"""What is known of the offers' effects: what the catalogue assumes, updated by what was measured.

Both are normal distributions of a shift of the retention log-odds. The update is joint over the
offers, because offers that are compared with the same control group share its chance (Efron and
Morris 1975; Dimmery, Bakshy and Sekhon 2019). A small experiment moves the assumption a little, a
large one replaces it: there is no size at which an effect changes abruptly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from churn.arrays import Floats
from churn.offers.effects import assumed_shifts
from churn.uplift.average import Z

if TYPE_CHECKING:
    from churn.offers.catalogue import Offer

LEAST_ERROR = 0.02
"""The least standard deviation of an assumption, as a shift of the log-odds: about a quarter of a
point of retention at 85 %."""


@dataclass(frozen=True)
class Shifts:
    """Shifts of the retention log-odds of m offers, normally distributed: `mean` of shape (m,),
    `covariance` of shape (m, m).
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def assumed(cls, offers: Sequence[Offer], *, base_rate: float) -> Self:
        """Those of the catalogue, whose `effect_low` and `effect_high` are a 90 % interval.

        An effect that is stated without a range is taken to be as uncertain as it is large.
        """
        low, mean, high = assumed_shifts(offers, base_rate=base_rate).T
        error = np.where(high > low, (high - low) / (2 * Z), np.abs(mean))
        return cls(mean, np.diag(np.maximum(error, LEAST_ERROR) ** 2))

    @property
    def error(self) -> Floats:
        """The standard deviation of each shift, shape (m,)."""
        return np.sqrt(np.diag(self.covariance))

    def updated(self, found: Shifts) -> Shifts:
        """After measurements of the same offers, with the covariance of their errors.

        No variance increases, whatever was measured.

        >>> assumed = Shifts(np.array([0.2]), np.array([[0.01]]))
        >>> known = assumed.updated(Shifts(np.array([0.0]), np.array([[0.01]])))
        >>> known.mean.round(3).tolist(), known.covariance.round(4).tolist()
        ([0.1], [[0.005]])
        """
        gain = np.linalg.solve(self.covariance + found.covariance, self.covariance).T
        mean = self.mean + gain @ (found.mean - self.mean)
        covariance = self.covariance - gain @ self.covariance
        return Shifts(mean, (covariance + covariance.T) / 2)

    def widened(self, found: Shifts) -> Shifts:
        """The assumption with the range of every offer widened until the measurement is within a
        standard deviation of what both together would let expect.

        So an assumption that an experiment contradicts gives way to it (the variance is the most
        likely one, but not below the stated one; a single coordinate of James and Stein 1961).
        """
        apart = (found.mean - self.mean) ** 2 - np.diag(found.covariance)
        covariance = self.covariance.copy()
        np.fill_diagonal(covariance, np.maximum(np.diag(covariance), apart))
        return Shifts(self.mean, covariance)

    def of(self, columns: Sequence[int]) -> Shifts:
        """Those of some of the offers."""
        return Shifts(self.mean[columns], self.covariance[np.ix_(columns, columns)])

    def bounds(self, column: int) -> tuple[float, float, float]:
        """Low, mean and high of an offer: its 90 % interval."""
        mean, half = float(self.mean[column]), Z * float(self.error[column])
        return mean - half, mean, mean + half
