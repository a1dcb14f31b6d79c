"""Power analysis: sample size, minimum detectable effect, and the sample-ratio check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import chi2, norm

from churn.errors import ConfigError

LEVEL, POWER = 0.05, 0.8
SUSPICIOUS = 0.001


def customers_needed(
    base_rate: float, effect: float, *, holdout: float = 0.5, level: float = LEVEL
) -> int:
    """The number of customers, both arms together, to detect an `effect` on a rate with 80 % power.

    `effect` is in probability points; `holdout` is the share of customers without the offer.
    Source: two-sided test of two proportions; with equal arms about 16 p (1 - p) / effect^2 per
    arm.

    >>> customers_needed(0.2, 0.02)
    12559
    """
    _check_rate(base_rate)
    if not 0 < holdout < 1:
        rule = "holdout must be a share between 0 and 1"
        raise ConfigError(rule, got=holdout, fix="Pass e.g. 0.1.")
    if effect == 0:
        raise ConfigError(
            "effect must not be 0", got=0, fix="Pass the smallest effect that matters."
        )
    variance = base_rate * (1 - base_rate) * (1 / holdout + 1 / (1 - holdout))
    return math.ceil(_reach(level) ** 2 * variance / effect**2)


def smallest_detectable_effect(base_rate: float, customers: int, *, holdout: float) -> float:
    """The minimum detectable difference in lapse rates with 80 % power, at 5 %.

    Infinite if an arm is empty. Source: two-sided test of two proportions.

    >>> round(smallest_detectable_effect(0.13, 2_231, holdout=0.1), 3)
    0.066
    """
    held = holdout * customers
    treated = customers - held
    if min(held, treated) <= 0:
        return math.inf
    variance = base_rate * (1 - base_rate) * (1 / held + 1 / treated)
    return _reach(LEVEL) * math.sqrt(variance)


@dataclass(frozen=True)
class SampleRatio:
    """Customers by arm, observed and planned, and the p-value of the difference."""

    counts: Mapping[str, int]
    planned: Mapping[str, float]
    p_value: float

    @property
    def as_planned(self) -> bool:
        """False if arms differ from the plan significantly: then no effect may be reported."""
        return self.p_value >= SUSPICIOUS


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """The sample-ratio-mismatch check: whether the sizes of arms match their shares.

    A chi-squared test at .001 (Fabijan et al. 2019). Raises ConfigError unless the arms are the
    same and the shares add up to 1.

    >>> sample_ratio({"treatment": 9_000, "holdout": 1_300}, {"treatment": 0.9, "holdout": 0.1}
    ...              ).as_planned
    False
    """
    if set(counts) != set(shares) or abs(sum(shares.values()) - 1) > 1e-9:
        rule = "the shares must be those of the counted arms and add up to 1"
        got = f"arms {sorted(counts)}, shares {dict(shares)}"
        raise ConfigError(rule, got=got, fix="Give each arm its share.")
    total = sum(counts.values())
    planned = {arm: share * total for arm, share in shares.items()}
    impossible = any(counts[arm] and not planned[arm] for arm in counts)
    terms = [(counts[arm] - n) ** 2 / n for arm, n in planned.items() if n]
    p_value = float(chi2.sf(sum(terms), max(len(terms) - 1, 1)))
    return SampleRatio(dict(counts), planned, 0.0 if impossible else p_value)


def _reach(level: float) -> float:
    """The distance of a detectable effect from zero, in standard errors."""
    return float(norm.ppf(1 - level / 2) + norm.ppf(POWER))


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        rule = "base_rate must be between 0 and 1"
        raise ConfigError(rule, got=rate, fix="Pass the share that lapses, e.g. 0.2.")
