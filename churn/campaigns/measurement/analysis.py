"""Analysis of a measured plan: first a check that it was run as planned, then the effects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.arrays import Bools, Floats
from churn.campaigns.measurement.difference import (
    Difference,
    Z,
    cuped,
    difference,
    odds,
    reach_at_any_look,
)
from churn.campaigns.measurement.power import SampleRatio, sample_ratio
from churn.campaigns.measurement.randomisation import randomisation_tails
from churn.campaigns.measurement.rows import MONEY, UNITS

if TYPE_CHECKING:
    import pandas as pd

    from churn.campaigns.measurement.rows import Measured


OUTCOMES = ("retained", "orders", "margin")
PREDICTED = ("churn_probability", "expected_margin")  # covariates of CUPED, by the scores
MIN_CUSTOMERS = 50  # per group; intervals of means of fewer are not reliable
CLEAR, SMALL = ("more", "less"), "too small to tell"


@dataclass(frozen=True)
class Effect:
    """Effect per customer, treated minus control: `plain`, and `adjusted` by CUPED if possible.

    `widening` is that of the intervals: above 1 before the window closes.
    """

    plain: Difference
    adjusted: Difference | None
    widening: float
    treated_customers: int

    @property
    def best(self) -> Difference:
        """The adjusted difference if there is one."""
        return self.adjusted or self.plain

    @property
    def verdict(self) -> str:
        """Whether more or less if the interval excludes zero, else too small to tell."""
        smaller = min(self.treated_customers, self.best.customers - self.treated_customers)
        if smaller < MIN_CUSTOMERS or not self.best.is_clear(self.widening):
            return SMALL
        return CLEAR[self.best.estimate < 0]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; undefined values are None."""
        adjusted = None if self.adjusted is None else _plain(self.adjusted, self.widening)
        needed = self.best.customers_needed
        return {
            "plain": _plain(self.plain, self.widening),
            "verdict": self.verdict,
            "cuped": adjusted,
            "smallest_shown": _finite(self.best.smallest_shown),
            "customers_needed": math.ceil(needed) if math.isfinite(needed) else None,
        }


@dataclass(frozen=True)
class Analysis:
    """The sample-ratio check, and the effect on each of `OUTCOMES`; no effects if the check fails.

    `why_not` states why there are none.
    """

    ratio: SampleRatio | None
    effects: Mapping[str, Effect]
    why_not: str | None = None


def analyse(measured: Measured, shares: Mapping[str, float]) -> Analysis:
    """The effects among customers for whom the draw made a difference: intention to treat.

    `shares` are those of the plan; everyone had the same probability of being a control, so no
    weights are needed. Intervals come from the randomisation, so that they hold for margins with
    heavy tails, too. Before the window closes they are anytime-valid, and without CUPED, for which
    validity is not established.
    """
    rows = measured.frame[measured.frame["compared"]]
    kept = rows["kept"].to_numpy(dtype=bool)
    if not kept.any() or kept.all():
        return Analysis(None, {}, "no controls, or nobody was treated: no comparison is possible")
    ratio = _guard(kept, shares)
    if not ratio.as_planned:
        return Analysis(ratio, {}, _mismatch(ratio))
    return Analysis(ratio, _effects(rows, measured))


def _guard(kept: np.ndarray, shares: Mapping[str, float]) -> SampleRatio:
    """Whether the number of controls matches the shares of holdout and control."""
    share = 1 - (1 - shares["holdout"]) * (1 - shares.get("control", 0.0))
    counts = {"treated": int((~kept).sum()), "kept": int(kept.sum())}
    return sample_ratio(counts, {"treated": 1 - share, "kept": share})


def _mismatch(ratio: SampleRatio) -> str:
    return (
        f"{ratio.counts['kept']:,} customers were controls where "
        f"{ratio.planned['kept']:,.0f} were planned; by chance alone the probability is "
        f"p = {ratio.p_value:.1g}: the groups differ by more than the campaign, so no effect is "
        "reported"
    )


def _effects(rows: pd.DataFrame, measured: Measured) -> dict[str, Effect]:
    plain = {
        name: rows[name].to_numpy(dtype="float64") / (UNITS if name in MONEY else 1)
        for name in OUTCOMES
    }
    found = effects_on(plain, rows, final=measured.closed)
    return {
        name: replace(effect, widening=_widening(name, plain[name], measured))
        for name, effect in found.items()
    }


def effects_on(
    outcomes: Mapping[str, Floats], rows: pd.DataFrame, *, final: bool = True
) -> dict[str, Effect]:
    """The effects on outcomes of the rows' customers, each of shape (rows,), `kept` being the
    controls; adjusted by CUPED where the rows have predictions, and only if they are `final`.
    """
    treated = ~rows["kept"].to_numpy(dtype=bool)
    predicted = [rows[name].to_numpy(dtype="float64") for name in PREDICTED]
    adjusted = {}
    if final and any(np.isfinite(known).any() for known in predicted):
        adjusted = {name: cuped(values, treated, *predicted) for name, values in outcomes.items()}
    found = _differences([*outcomes.values(), *adjusted.values()], treated)
    by_cuped = dict(zip(adjusted, found[len(outcomes) :], strict=True))
    return {
        name: Effect(difference, by_cuped.get(name), 1.0, int(treated.sum()))
        for name, difference in zip(outcomes, found, strict=False)
    }


def _differences(outcomes: Sequence[Floats], treated: Bools) -> list[Difference]:
    """The differences, with the tails that the randomisation gives them."""
    found = [difference(outcome, treated) for outcome in outcomes]
    without_effect = np.column_stack(
        [outcome - one.estimate * treated for outcome, one in zip(outcomes, found, strict=True)]
    )
    tails = randomisation_tails(without_effect, treated)
    return [
        replace(one, tails=(float(low), float(high)))
        for one, (low, high) in zip(found, tails, strict=True)
    ]


def _widening(name: str, outcome: Floats, measured: Measured) -> float:
    """How much wider an interval must be to hold at all looks before the window closes."""
    if measured.closed:
        return 1.0
    information = measured.elapsed
    if name == "retained":
        information = odds(float(outcome.mean()), len(outcome))
    return reach_at_any_look(information) / Z


def _plain(effect: Difference, widening: float) -> dict[str, float | None]:
    low, high = effect.interval(widening)
    values = {
        "treated": effect.treated,
        "kept": effect.kept,
        "estimate": effect.estimate,
        "low": low,
        "high": high,
    }
    return {name: _finite(value) for name, value in values.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
