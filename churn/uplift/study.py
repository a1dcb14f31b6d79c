"""From an experiment to a finding per offer, and the trees of individual effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from churn.arrays import Floats
from churn.errors import GateError
from churn.offers.catalogue import NO_OFFER
from churn.uplift.average import EffectLine, Group, telling_groups
from churn.uplift.experiment import ExperimentData, customer_folds
from churn.uplift.learners import (
    DRLearner,
    LearnerSettings,
    TLearner,
    pseudo_outcomes,
)
from churn.uplift.ranking import RobustRanking, UpliftReport, judge_rankings
from churn.uplift.verdict import (
    LEAST_CUSTOMERS_AN_ARM,
    Verdict,
    customers_per_arm,
    log_odds_shift_of,
    to_json,
    verdict,
    with_mean,
)


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Evaluation of an experiment: outer folds of customers, k of uplift at k, the bootstrap.

    `challengers` evaluates the T-learner in addition to the DR- and the S-learner.
    """

    folds: int = 3
    share: float = 0.3
    replicates: int = 300
    challengers: bool = True
    learning: LearnerSettings = field(default_factory=LearnerSettings)

    @property
    def seed(self) -> int:
        """The seed of folds, trees and draws."""
        return self.learning.seed


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for each row of an experiment by learners that had not seen its customer.

    `effects` by learner ("dr", "s", "t"), rows x offers; `outcomes` is P(retained), rows x
    (1 + offers); `pseudo` are the doubly robust pseudo-outcomes based on them.
    """

    offers: tuple[str, ...]
    effects: Mapping[str, Floats]
    outcomes: Floats
    pseudo: Floats


@dataclass(frozen=True)
class Finding:
    """The result for one offer. Effects are differences in P(retained).

    `shift` moves the retention log-odds by the average effect: low, mean, high. `customers` are the
    distinct customers who were sent it, and the controls. `retained_without` is the retention rate
    of the controls, weighted by 1 / propensity, as it can be computed from the contacts; the shift
    and `needed_per_arm` are based on it. `needed_per_arm` customers would show an effect of the
    estimated size.
    """

    offer_id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    customers: tuple[int, int]
    retained_without: float
    line: EffectLine
    shift: tuple[float, float, float]
    needed_per_arm: int
    uplift: UpliftReport | None
    groups: Mapping[str, tuple[Group, ...]]

    def to_dict(self) -> dict[str, Any]:
        """All results, as plain JSON."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "customers": {"sent": self.customers[0], "kept": self.customers[1]},
            "retained_without": self.retained_without,
            "average": self.line.average.to_dict(),
            "slope": self.line.slope,
            "slope_error": self.line.slope_error,
            "needed_per_arm": self.needed_per_arm,
            "uplift": None if self.uplift is None else to_json(self.uplift),
            "groups": {
                name: [group.to_dict() for group in groups] for name, groups in self.groups.items()
            },
        }


@dataclass(frozen=True)
class Study:
    """A finding for every offer of an experiment; `texts` are the trees of the individual ones."""

    findings: Mapping[str, Finding]
    feature_names: tuple[str, ...]
    horizon_days: int
    texts: Mapping[str, str]
    observational: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)


def study(data: ExperimentData, settings: StudySettings | None = None) -> Study:
    """The findings, each evaluated on customers that its learner had not seen.

    The learner that is saved is the same recipe fitted on all rows. Raises GateError if no choice
    set has both an offer and controls.
    """
    settings = settings or StudySettings()
    if not data.offers:
        raise GateError(
            "effects need randomised contacts, some with an offer and some without",
            got=f"{len(data):,} randomised contacts",
            fix="Keep a control group, randomise a share, and record each arm and propensity.",
        )
    enough = tuple(offer for offer in data.offers if _fewest(data, offer) >= LEAST_CUSTOMERS_AN_ARM)
    seen = cross_fit(data, enough, settings) if enough else None
    findings = {offer: _finding(data, offer, seen, settings) for offer in data.offers}
    individual = [name for name, finding in findings.items() if finding.verdict == "individual"]
    texts = dict(DRLearner.fit(data, enough, settings.learning).texts) if individual else {}
    return Study(
        findings,
        data.feature_names,
        data.horizon_days,
        {name: texts[name] for name in individual},
        data.observational,
        data.left_out,
    )


def _fewest(data: ExperimentData, offer: str) -> int:
    return min(_customers(data, offer))


def _customers(data: ExperimentData, offer: str) -> tuple[int, int]:
    could = data.could_get(offer)
    sent, kept = (data.customers_given(name, among=could) for name in (offer, NO_OFFER))
    return sent, kept


def cross_fit(data: ExperimentData, offers: tuple[str, ...], settings: StudySettings) -> OutOfFold:
    """The predictions of every learner for each fold of customers, fitted without that fold."""
    fold = customer_folds(data.customer, settings.folds, seed=settings.seed)
    outcomes = np.empty((len(data), 1 + len(offers)))
    names = ("dr", "s", "t") if settings.challengers else ("dr", "s")
    effects = {name: np.empty((len(data), len(offers))) for name in names}
    for number in range(settings.folds):
        inside = fold == number
        matrix, rest = data.matrix[inside], data.only(~inside)
        learner = DRLearner.fit(rest, offers, settings.learning)
        outcomes[inside] = learner.outcome.outcomes(matrix)
        effects["dr"][inside] = learner.effects(matrix)
        effects["s"][inside] = outcomes[inside, 1:] - outcomes[inside, :1]
        if settings.challengers:
            effects["t"][inside] = TLearner.fit(rest, offers, settings.learning).effects(matrix)
    return OutOfFold(offers, effects, outcomes, pseudo_outcomes(data, offers, outcomes))


def _finding(
    data: ExperimentData, offer: str, seen: OutOfFold | None, settings: StudySettings
) -> Finding:
    could, customers = data.could_get(offer), _customers(data, offer)
    if seen is None or offer not in seen.offers:
        return _plain_finding(data, offer, customers)
    column = seen.offers.index(offer)
    pseudo, customer = seen.pseudo[could, column], data.customer[could]
    line = EffectLine.fit(pseudo, seen.effects["dr"][could, column], customer)
    report = _report(data, offer, seen, settings)
    decision, reasons = verdict(line.average, min(customers), report)
    features = data.rows.loc[could, list(data.feature_names)]
    rate = _retained_without(data.only(could))
    return Finding(
        offer_id=offer,
        verdict=decision,
        reasons=reasons,
        customers=customers,
        retained_without=rate,
        line=line,
        shift=_shifts(line, with_mean(rate, seen.outcomes[could, 0])),
        needed_per_arm=customers_per_arm(line.average.estimate, rate),
        uplift=report,
        groups=telling_groups(features, pseudo, customer),
    )


def _plain_finding(data: ExperimentData, offer: str, customers: tuple[int, int]) -> Finding:
    """The difference of both arms, if they are too small for a learner."""
    part = data.only(data.could_get(offer))
    rate = _retained_without(part)
    flat = np.full((len(part), 2), rate)
    line = EffectLine.fit(
        pseudo_outcomes(part, (offer,), flat)[:, 0], np.zeros(len(part)), part.customer
    )
    decision, reasons = verdict(line.average, min(customers), None)
    return Finding(
        offer_id=offer,
        verdict=decision,
        reasons=reasons,
        customers=customers,
        retained_without=rate,
        line=line,
        shift=_shifts(line, np.array([rate])),
        needed_per_arm=customers_per_arm(line.average.estimate, rate),
        uplift=None,
        groups={"works": (), "harms": ()},
    )


def _retained_without(part: ExperimentData) -> float:
    """The share of controls who were retained, each representing 1 / propensity rows."""
    kept = part.was_given(NO_OFFER)
    return float(np.average(part.retained[kept], weights=1 / part.propensity[kept]))


def _report(
    data: ExperimentData, offer: str, seen: OutOfFold, settings: StudySettings
) -> UpliftReport:
    could, column = data.could_get(offer), seen.offers.index(offer)
    scores = {name: effects[could, column] for name, effects in seen.effects.items()}
    # Most at risk: the lowest retention without an offer, by a model that had not seen them.
    scores["risk"] = -seen.outcomes[could, 0]
    pseudo = seen.pseudo[could, column]
    return judge_rankings(
        {name: RobustRanking.of(pseudo, score) for name, score in scores.items()},
        data.customer[could],
        share=settings.share,
        replicates=settings.replicates,
        seed=settings.seed,
    )


def _shifts(line: EffectLine, retained: Floats) -> tuple[float, float, float]:
    average = line.average
    low, mean, high = (
        log_odds_shift_of(effect, retained)
        for effect in (average.low, average.estimate, average.high)
    )
    return low, mean, high
