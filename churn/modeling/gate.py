"""The promotion gate.

A new model is promoted only if it beats the baselines, is not inferior to the champion, overall and
on every slice of customers, and no feature leaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from churn.data.cutoffs import Cutoffs
from churn.features.catalogue import CATALOGUE
from churn.features.clock import FeatureClock
from churn.modeling.audit import Leak, is_of
from churn.modeling.baselines import RENEWALS, predict_baseline
from churn.modeling.dataset import Dataset, row_weights
from churn.modeling.evaluate import Evaluation
from churn.modeling.metrics import Interval, log_loss, paired_log_loss_difference
from churn.modeling.model import ChurnModel
from churn.modeling.paired import SliceDifference, slice_differences
from churn.modeling.panel import Panel
from churn.results.figures import difference

LEAST_CUTOFFS = 2
WHEN = ("dates", "until", "arrival_lag_days")
NOT_RECIPE = ("threads", "stand_in", "margin_rate")

SUSPICIOUS_AUC = 0.9
MARGIN = 0.005
PROVISIONAL = (
    "judged provisionally: the history is too short for the gate, so the model is used without "
    "having passed it"
)
SHOWN_LEAKS = 5
TABLES_OF_BASELINES = frozenset({"orders", "order_lines"})


@dataclass(frozen=True)
class Rival:
    """The champion's P(lapse) for eligible test rows, and how it was obtained.

    `chosen` marks the test rows on which it can be compared.
    """

    name: str
    how: str
    chosen: np.ndarray
    probability: np.ndarray
    stand_in: str | None = None


def why_not_comparable(
    champion: ChurnModel | None, panel: Panel, connected: frozenset[str]
) -> str | None:
    """Why the champion has another target or can no longer predict, as text; else None."""
    if champion is None:
        return None
    theirs = _question(champion.clock_, champion.cutoffs_)
    ours = _question(panel.clock, panel.cutoffs)
    differ = [name for name in ours if theirs.get(name) != ours[name]]
    if differ:
        differences = ", ".join(f"{name} {theirs.get(name)}, not {ours[name]}" for name in differ)
        return f"its target differs: {differences}"
    gone = [name for name in champion.feature_names_ if not _is_there(name, connected)]
    if gone:
        return f"its features can no longer be built: {', '.join(gone)}"
    return None


def _question(clock: FeatureClock, cutoffs: Cutoffs) -> dict[str, object]:
    """The settings that define who is eligible and what counts as a lapse."""
    label = {name: value for name, value in asdict(cutoffs).items() if name not in WHEN}
    return {**label, **asdict(clock)}


def _is_there(name: str, connected: frozenset[str]) -> bool:
    if name not in CATALOGUE:
        return False
    # an event type that has not occurred yet counts as zero
    needs = {one for one in CATALOGUE[name].needs if not one.startswith("events.")}
    return needs <= connected


def forecast_champion(
    champion: ChurnModel, candidate: ChurnModel, dataset: Dataset, panel: Panel
) -> Rival:
    """The champion's forecast of eligible test rows, none of which it has seen.

    The champion itself predicts the test cutoffs after the end of its own labels if there are two
    or more. Otherwise its recipe is refitted on the data that `candidate` was fitted on. `dataset`
    has the features of both.
    """
    name = str(champion.manifest_["model_id"])
    stand_in = champion.stand_in
    rows = dataset.only(panel.blocks.test).eligible
    fair = panel.blocks.test.since(champion.cutoffs_.until)
    if len(fair) >= LEAST_CUTOFFS:
        chosen = rows["cutoff"].isin(dataset.only(fair).rows["cutoff"].unique()).to_numpy()
        probability = _lapse_predictions(champion, rows[chosen])
        return Rival(name, "itself", chosen, probability, stand_in)
    everywhere = np.ones(len(rows), dtype=bool)
    if stand_in is not None:
        probability = predict_baseline(candidate.baselines_[stand_in], rows)
    elif _recipe(champion) == _recipe(candidate):
        probability = _lapse_predictions(candidate, rows)
    else:
        learnt = replace(dataset, feature_names=tuple(champion.feature_names_))
        known = learnt.before(panel.blocks.test.dates[0])
        refitted = clone(champion).set_params(threads=candidate.threads).fit(known)
        probability = _lapse_predictions(refitted, rows)
    return Rival(name, "recipe refitted", everywhere, probability, stand_in)


def _recipe(model: ChurnModel) -> tuple[dict[str, object], Sequence[str]]:
    """Everything that determines the lapse predictions of a fit on given rows."""
    parameters = model.get_params()
    chosen_parameters = {
        name: value for name, value in parameters.items() if name not in NOT_RECIPE
    }
    return chosen_parameters, list(model.feature_names_)


def _lapse_predictions(model: ChurnModel, rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(model.predict_proba(rows[["status", *model.feature_names_]])[:, 1])


Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Check:
    """One check of the gate: whether the model passed, the reason as text, and the figures.

    A check that does not decide is shown only.
    """

    name: str
    passed: bool
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    decides: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name,
            "passed": self.passed,
            "decides": self.decides,
            "reason": self.reason,
            "figures": dict(self.figures),
        }


@dataclass(frozen=True)
class Gate:
    """The checks made, in order of importance, and the best baseline.

    In a history too short for a full judgement it is `provisional`: only leaks, and a champion that
    passed a full one, can reject the model.
    """

    best_baseline: str
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
    provisional: bool = False

    @property
    def open(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks if check.decides)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the gate is closed or, if it is open, what the model beats."""
        refused = tuple(check.reason for check in self.checks if check.decides and not check.passed)
        return refused or (PROVISIONAL if self.provisional else self.checks[0].reason,)

    def kept_by(self, champion: str) -> Gate:
        """The provisional gate closed because the champion of that name passed a full judgement."""
        reason = (
            f"the champion {champion} passed the full gate, and this model could only be judged "
            "provisionally: pass a longer history, or choose with `churn models promote ID "
            "--force --reason TEXT`"
        )
        others = tuple(check for check in self.checks if check.name != "champion")
        first, *rest = others
        return replace(self, checks=(first, Check("champion", False, reason), *rest))

    def without_champion(self, name: str, why: str) -> Gate:
        """The gate closed because the champion of that name cannot be read, so the model cannot be
        compared with it.

        A person decides.
        """
        reason = (
            f"the champion {name} cannot be read ({why.rstrip('.')}), so the "
            "model cannot be compared with it: restore its folder from a copy, go back with "
            "`churn models rollback`, or choose with `churn models promote ID --force "
            "--reason TEXT`"
        )
        first, *others = self.checks
        return replace(self, checks=(first, Check("champion", False, reason), *others))

    @property
    def leaking(self) -> tuple[str, ...]:
        """The features that leak."""
        return tuple(
            feature
            for check in self.checks
            if check.name == "leaks" and not check.passed
            for feature in check.figures
        )

    def stand_in(self, champion: str | None, *, stands_in: bool) -> str | None:
        """The baseline promoted as fallback model, or None.

        It is the best baseline if the gate is closed and no model is active: there is no champion,
        or it is a fallback itself (`stands_in`), which is thus refreshed. None if a leak was found
        in the tables that the baseline itself uses.
        """
        no_model_active = champion is None or stands_in
        if self.open or not no_model_active or self._is_tainted(self.best_baseline):
            return None
        return self.best_baseline

    def _is_tainted(self, baseline: str) -> bool:
        return any(is_of(feature, tables_of_baseline(baseline)) for feature in self.leaking)


def tables_of_baseline(baseline: str) -> frozenset[str]:
    """The tables that a baseline uses."""
    return TABLES_OF_BASELINES | {"subscriptions"} if baseline == RENEWALS else TABLES_OF_BASELINES


@dataclass(frozen=True)
class Forecasts:
    """Eligible rows of the test cutoffs (customer_id, lapse), the predictions of the model and of
    its best baseline, and slice masks.
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
    provisional: bool = False,
) -> Gate:
    """Up to four checks on later cutoffs; a check whose input is missing is left out.

    `rules`: the interval of the log loss difference to the best baseline lies below 0, on two or
    more cutoffs. `champion`: the upper bound of the difference is under .5 % of its log loss; a
    fallback champion is a baseline and has to be beaten like one. `slices`: none with 100 or more
    lapsed customers is worse than with the champion or, without one, with the best baseline.
    `leaks`: none found. If `provisional`, the first three are shown without deciding.
    """
    checks = [_baselines(evaluation)]
    if test is not None and champion is not None:
        checks.append(_champion(test, champion, seed))
    if test is not None:
        checks.append(_slices(test, champion, evaluation.best_baseline, seed))
    if provisional:
        checks = [replace(check, decides=False) for check in checks]
    if leaks is not None:
        checks.append(_leaks(leaks))
    auc = evaluation.of("model").metrics["roc_auc"].estimate
    suspicion = (
        f"an AUC of {auc:.3f} on eligible customers is unusually high: plausible in a shop with a "
        "fixed rhythm; otherwise look for a feature that leaks"
    )
    warnings = (suspicion,) if auc > SUSPICIOUS_AUC else ()
    return Gate(evaluation.best_baseline, tuple(checks), warnings, provisional)


def _baselines(evaluation: Evaluation) -> Check:
    best = evaluation.best_baseline
    gap = evaluation.against[best]
    enough = len(evaluation.cutoffs) >= LEAST_CUTOFFS
    verb = "beats" if gap.high < 0 else "does not beat"
    reason = f"the model {verb} the best baseline, {best}: log loss difference {difference(gap)}"
    if not enough:
        reason += f"; evaluated on {len(evaluation.cutoffs)} cutoff, and a promotion needs two"
    figures = {"baseline": best, **_figures(gap), "cutoffs": len(evaluation.cutoffs)}
    return Check("rules", gap.high < 0 and enough, reason, figures)


def _champion(test: Forecasts, champion: Rival, seed: int) -> Check:
    rows, probability = test.rows[champion.chosen], test.model[champion.chosen]
    target = rows["lapse"].to_numpy()
    customer = rows["customer_id"].to_numpy()
    weight = row_weights(rows)
    gap = paired_log_loss_difference(
        target, probability, champion.probability, customer, weights=weight, seed=seed
    )
    fallback = champion.stand_in is not None
    bound = 0.0 if fallback else MARGIN * log_loss(target, champion.probability, weights=weight)
    passed = gap.high < bound
    verb = _verb(passed, fallback=fallback)
    result = f"log loss difference {difference(gap)}, required below {bound:+.4f}"
    reason = f"the model {verb} the champion {champion.name} ({champion.how}): {result}"
    figures = {"champion": champion.name, "how": champion.how, **_figures(gap), "bound": bound}
    return Check("champion", passed, reason, figures)


def _verb(passed: bool, *, fallback: bool) -> str:
    if fallback:
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
        weights=row_weights(rows),
        seed=seed,
    )
    worse = [one for one in found if one.is_worse]
    figures = {one.name: {"lapsed": one.positives, **_figures(one.difference)} for one in found}
    return Check("slices", not worse, _slices_reason(found, worse, name), figures)


def _slices_reason(
    found: Sequence[SliceDifference], worse: Sequence[SliceDifference], rival: str
) -> str:
    if not found:
        return "no slice has the 100 lapsed customers needed to evaluate it"
    interval = f"{found[0].level:.1%} intervals for {len(found)} slices"
    if not worse:
        return f"no slice is worse than with {rival} ({interval})"
    named = "; ".join(f"{one.name}, log loss {difference(one.difference)}" for one in worse)
    return f"the model is worse than {rival} on a slice: {named} ({interval})"


def _leaks(leaks: Sequence[Leak]) -> Check:
    if not leaks:
        return Check("leaks", True, "no feature leaks")
    named = "; ".join(leak.reason for leak in leaks[:SHOWN_LEAKS])
    more = f"; and {len(leaks) - SHOWN_LEAKS} more" if len(leaks) > SHOWN_LEAKS else ""
    figures = {leak.feature: {"kind": leak.kind, **leak.figures} for leak in leaks}
    return Check("leaks", False, named + more, figures)


def _figures(gap: Interval) -> dict[str, float]:
    return {"difference": gap.estimate, "low": gap.low, "high": gap.high}
