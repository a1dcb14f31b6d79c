"""Off-policy evaluation on randomised contacts: IPW, SNIPS and DR, with intervals.

Dudik, Erhan, Langford and Li (2014), Doubly robust policy evaluation and optimization; Swaminathan
and Joachims (2015), The self-normalized estimator for counterfactual learning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from churn.arrays import Floats, Ints
from churn.errors import DataError, GateError
from churn.uplift.average import Estimate, mean_by_customer

MIN_EFFECTIVE_ROWS = 100.0


@dataclass(frozen=True)
class PolicyValue:
    """The mean outcome per row under a policy, by three estimators with 90 % intervals.

    `effective_rows` is the effective sample size (sum w)^2 / sum w^2 over the rows in which the
    assigned arm is the one that the policy chooses. `gain` is how much more than another policy it
    earns, by DR.
    """

    ipw: Estimate
    snips: Estimate
    dr: Estimate | None
    effective_rows: float
    gain: Estimate | None = None


def policy_value(
    choice: ArrayLike,
    given: ArrayLike,
    propensity: ArrayLike,
    outcome: ArrayLike,
    customer: ArrayLike,
    *,
    predicted: Floats | None = None,
    against: ArrayLike | None = None,
    min_effective_rows: float = MIN_EFFECTIVE_ROWS,
) -> PolicyValue:
    """The value of choosing `choice`, from rows assigned `given` with that propensity.

    Both are arms 0, 1, 2 … of n rows. `predicted` is the out-of-fold prediction of the outcome
    under each arm, n x arms, for DR; `against` are the choices of the policy to which the `gain`
    refers, which takes predictions. Raises GateError if too few rows agree.
    """
    chosen, assigned = np.asarray(choice), np.asarray(given)
    y, e = np.asarray(outcome, dtype=float), np.asarray(propensity, dtype=float)
    if not ((e > 0) & (e <= 1)).all():
        rule = "propensities must be above 0 and at most 1"
        raise DataError(rule, got=f"{int((~((e > 0) & (e <= 1))).sum())} row(s) otherwise")
    weight = (chosen == assigned) / e
    total = weight.sum()
    effective = float(total**2 / (weight**2).sum()) if total > 0 else 0.0
    if effective < min_effective_rows:
        raise GateError(
            f"evaluating a policy takes at least {min_effective_rows:,.0f} effective rows",
            got=f"{effective:,.1f}",
            fix="Randomise more contacts, or evaluate a policy closer to the assignments.",
        )
    dr = gain = None
    if predicted is not None:
        scores = doubly_robust(chosen, assigned, e, y, predicted)
        dr = mean_by_customer(scores, customer)
        if against is not None:
            other = doubly_robust(np.asarray(against), assigned, e, y, predicted)
            gain = mean_by_customer(scores - other, customer)
    return PolicyValue(
        ipw=mean_by_customer(weight * y, customer),
        snips=_self_normalised(weight, y, customer),
        dr=dr,
        effective_rows=effective,
        gain=gain,
    )


def doubly_robust(
    choice: Ints, given: Ints, propensity: Floats, outcome: Floats, predicted: Floats
) -> Floats:
    """Each row's unbiased estimate of its outcome under the arms of `choice`, as `policy_value`."""
    rows = np.arange(len(outcome))
    weight = (choice == given) / propensity
    correction = weight * (outcome - predicted[rows, given])
    return np.asarray(predicted[rows, choice] + correction)


def _self_normalised(weight: Floats, y: Floats, customer: ArrayLike) -> Estimate:
    """The weighted mean, with its standard error by the delta method."""
    value = float(weight @ y / weight.sum())
    error = mean_by_customer(weight * (y - value) / weight.mean(), customer).error
    return Estimate(value, error)
