"""May this model speak? Not unless it beats the simple rules, is no step back from the champion,
is nowhere worse, and has not seen what it is to foretell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.modeling.audit import Leak, is_of
from churn.modeling.baselines import RENEWALS
from churn.modeling.evaluate import Evaluation
from churn.modeling.metrics import Interval, log_loss, paired_log_loss_difference
from churn.modeling.paired import SliceDifference, slice_differences
from churn.modeling.rivals import Rival

__all__ = ["LEAST_CUTOFFS", "Check", "Forecasts", "Gate", "judge", "tables_of_rule"]

SUSPICIOUS_AUC = 0.9
LEAST_CUTOFFS = 2
MARGIN = 0.005
SHOWN_LEAKS = 5
RULES_STAND_ON = frozenset({"orders", "order_lines"})

Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Check:
    """One question of the gate: whether the model passed, why in words, and the figures."""

    name: str
    passed: bool
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name,
            "passed": self.passed,
            "reason": self.reason,
            "figures": dict(self.figures),
        }


@dataclass(frozen=True)
class Gate:
    """The checks that were made, in the order of their weight, and the best baseline."""

    best_baseline: str
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether every check was passed."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the gate is shut; where it is open, what the model beats."""
        refused = tuple(check.reason for check in self.checks if not check.passed)
        return refused or (self.checks[0].reason,)

    def without_champion(self, name: str, why: str) -> Gate:
        """The gate shut, for the champion of that name cannot be read: nobody knows whether the
        model would be a step back. A person decides.
        """
        reason = (
            f"the champion {name} cannot be read ({why.rstrip('.')}), so nobody knows whether the "
            "model is a step back: restore its folder from a copy, go back with `churn models "
            "rollback`, or choose with `churn models promote ID --force --reason TEXT`"
        )
        first, *others = self.checks
        return replace(self, checks=(first, Check("champion", False, reason), *others))

    @property
    def leaking(self) -> tuple[str, ...]:
        """The features that know what only the future can tell."""
        return tuple(
            feature
            for check in self.checks
            if check.name == "leaks" and not check.passed
            for feature in check.figures
        )

    def stand_in(self, champion: str | None, *, stands_in: bool) -> str | None:
        """The rule that is promoted in the model's place, or None.

        That is the best baseline, where the gate is shut and no model speaks yet: there is no
        champion, or it is a stand-in itself (`stands_in`) and so gets fresher. Never where a leak
        was found in the tables that the rule itself stands on.
        """
        speechless = champion is None or stands_in
        if self.open or not speechless or self._is_tainted(self.best_baseline):
            return None
        return self.best_baseline

    def _is_tainted(self, rule: str) -> bool:
        return any(is_of(feature, tables_of_rule(rule)) for feature in self.leaking)


def tables_of_rule(rule: str) -> frozenset[str]:
    """The tables that a baseline stands on."""
    return RULES_STAND_ON | {"subscriptions"} if rule == RENEWALS else RULES_STAND_ON


@dataclass(frozen=True)
class Forecasts:
    """Eligible rows of the test cutoffs (customer_id, lapse), what the model and its best
    baseline say of each, and the masks of their slices.
    """

    rows: pd.DataFrame
    model: np.ndarray
    baseline: np.ndarray
    slices: Masks


def judge(
    evaluation: Evaluation,
    test: Forecasts | None = None,
    *,
    champion: Rival | None = None,
    leaks: Sequence[Leak] | None = None,
    seed: int = 0,
) -> Gate:
    """Four checks, each against the future: what one cannot be made of is left out.

    `rules`: the interval of the log loss difference to the best baseline lies below 0, over two
    cutoffs or more. `champion`: the upper bound of the difference to it is under .5 % of its log
    loss; a stand-in is a rule, and has to be beaten like one. `slices`: none with 100 or more
    lapsed is worse than with the champion, or else with the best baseline. `leaks`: none found.
    """
    checks = [_rules(evaluation)]
    if test is not None and champion is not None:
        checks.append(_champion(test, champion, seed))
    if test is not None:
        checks.append(_slices(test, champion, evaluation.best_baseline, seed))
    if leaks is not None:
        checks.append(_leaks(leaks))
    auc = evaluation.of("model").metrics["roc_auc"].estimate
    suspicion = (
        f"an AUC of {auc:.3f} among eligible customers is unusually high: a shop with a fixed "
        "rhythm may have it; elsewhere look for a feature that knows the future"
    )
    warnings = (suspicion,) if auc > SUSPICIOUS_AUC else ()
    return Gate(evaluation.best_baseline, tuple(checks), warnings)


def _rules(evaluation: Evaluation) -> Check:
    best = evaluation.best_baseline
    gap = evaluation.against[best]
    enough = len(evaluation.cutoffs) >= LEAST_CUTOFFS
    verb = "beats" if gap.high < 0 else "does not beat"
    reason = f"the model {verb} the best baseline, {best}: log loss difference {_told(gap)}"
    if not enough:
        reason += f"; judged on {len(evaluation.cutoffs)} cutoff, and a promotion takes two"
    figures = {"baseline": best, **_figures(gap), "cutoffs": len(evaluation.cutoffs)}
    return Check("rules", gap.high < 0 and enough, reason, figures)


def _champion(test: Forecasts, champion: Rival, seed: int) -> Check:
    rows, said = test.rows[champion.chosen], test.model[champion.chosen]
    target = rows["lapse"].to_numpy()
    customer = rows["customer_id"].to_numpy()
    gap = paired_log_loss_difference(target, said, champion.probability, customer, seed=seed)
    rule = champion.stand_in is not None
    bound = 0.0 if rule else MARGIN * log_loss(target, champion.probability)
    passed = gap.high < bound
    verb = _verb(passed, rule=rule)
    told = f"log loss difference {_told(gap)}, to be under {bound:+.4f}"
    reason = f"the model {verb} the champion {champion.name} ({champion.how}): {told}"
    figures = {"champion": champion.name, "how": champion.how, **_figures(gap), "bound": bound}
    return Check("champion", passed, reason, figures)


def _verb(passed: bool, *, rule: bool) -> str:
    if rule:
        return "beats" if passed else "does not beat"
    return "is not inferior to" if passed else "may be inferior to"


def _slices(test: Forecasts, champion: Rival | None, baseline: str, seed: int) -> Check:
    chosen = np.ones(len(test.rows), dtype=bool) if champion is None else champion.chosen
    rival = test.baseline if champion is None else champion.probability
    name = f"the best baseline, {baseline}" if champion is None else f"the champion {champion.name}"
    rows = test.rows[chosen]
    found = slice_differences(
        rows["lapse"].to_numpy(),
        test.model[chosen],
        rival,
        rows["customer_id"].to_numpy(),
        {slice_of: mask[chosen] for slice_of, mask in test.slices.items()},
        seed=seed,
    )
    worse = [one for one in found if one.is_worse]
    figures = {one.name: {"lapsed": one.positives, **_figures(one.difference)} for one in found}
    return Check("slices", not worse, _slices_told(found, worse, name), figures)


def _slices_told(
    found: Sequence[SliceDifference], worse: Sequence[SliceDifference], rival: str
) -> str:
    if not found:
        return "no slice has the 100 lapsed that it takes to judge it"
    interval = f"{found[0].level:.1%} intervals for {len(found)} slices"
    if not worse:
        return f"no slice is worse than with {rival} ({interval})"
    named = "; ".join(f"{one.name}, log loss {_told(one.difference)}" for one in worse)
    return f"the model is worse than {rival} on a slice: {named} ({interval})"


def _leaks(leaks: Sequence[Leak]) -> Check:
    if not leaks:
        return Check("leaks", True, "no feature knows what only the future can tell")
    named = "; ".join(leak.reason for leak in leaks[:SHOWN_LEAKS])
    more = f"; and {len(leaks) - SHOWN_LEAKS} more" if len(leaks) > SHOWN_LEAKS else ""
    figures = {leak.feature: {"kind": leak.kind, **leak.figures} for leak in leaks}
    return Check("leaks", False, named + more, figures)


def _told(gap: Interval) -> str:
    return f"{gap.estimate:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"


def _figures(gap: Interval) -> dict[str, float]:
    return {"difference": gap.estimate, "low": gap.low, "high": gap.high}
