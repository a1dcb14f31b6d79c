"""The study of an experiment: a finding for each offer, and the trees of individual effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from churn.arrays import Floats
from churn.errors import GateError
from churn.modeling.boosting import predict_booster
from churn.offers.catalogue import NO_OFFER
from churn.uplift.average import EffectLine, Group, responsive_groups
from churn.uplift.experiment import ExperimentData, customer_codes, customer_folds
from churn.uplift.learners import (
    DRLearner,
    LearnerSettings,
    TLearner,
    pseudo_outcomes,
)
from churn.uplift.money import MoneyEvidence, money_evidence
from churn.uplift.ranking import RobustRanking, UpliftReport, evaluate_rankings
from churn.uplift.rule_values import RuleValue, rule_values
from churn.uplift.verdict import (
    MIN_CUSTOMERS_PER_ARM,
    Verdict,
    customers_per_arm,
    log_odds_shift_of,
    to_json,
    verdict,
    with_mean,
)


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Settings of a study: outer folds of customers, the share k of uplift at k, bootstrap
    replicates, and whether the T-learner runs in addition to the DR- and the S-learner.
    """

    folds: int = 3
    share: float = 0.3
    replicates: int = 300
    challengers: bool = True
    learning: LearnerSettings = field(default_factory=LearnerSettings)

    @property
    def seed(self) -> int:
        """The seed of folds, trees and bootstrap."""
        return self.learning.seed


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions for the rows of an experiment.

    `effects` by learner ("dr", "s", "t"), rows x offers; `outcomes` is P(retained), rows x
    (1 + offers); `pseudo` are the doubly robust pseudo-outcomes based on them; `margin` is the
    expected margin, regardless of the offer.
    """

    offers: tuple[str, ...]
    effects: Mapping[str, Floats]
    outcomes: Floats
    pseudo: Floats
    margin: Floats


@dataclass(frozen=True)
class Finding:
    """The finding for one offer. Effects are differences in P(retained).

    `customers` counts distinct customers treated and held out. `retained_without` is the retention
    rate of the held-out, weighted by 1 / propensity. `shift` moves log-odds at that rate by the
    average effect: low, mean, high. `needed_per_arm` is the sample size per arm that would detect
    an effect as large as the one found. `correlations` are those of the average's error with the
    errors of other offers, which share the control group.
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
    correlations: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
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
    """A finding for every offer of an experiment; `texts` holds the trees of individual effects,
    `money` what the contacts say of the offers' money, None if their arms are too small; `rules`
    what rules of targeting would have earned on them.
    """

    findings: Mapping[str, Finding]
    feature_names: tuple[str, ...]
    horizon_days: int
    texts: Mapping[str, str]
    observational: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    money: MoneyEvidence | None = None
    rules: tuple[RuleValue, ...] = ()


def study(
    data: ExperimentData,
    settings: StudySettings | None = None,
    *,
    costs: Mapping[str, Floats] | None = None,
) -> Study:
    """The findings, each evaluated on customers that its learner had not seen.

    The learner that ships is the same recipe, fitted on all rows. With the expected `costs` of
    offers with each contact, rules of targeting are evaluated, too. Raises GateError if no choice
    set has both treated and held-out customers.
    """
    settings = settings or StudySettings()
    if not data.offers:
        raise GateError(
            "effects are estimated from randomised contacts, of which some got no offer",
            got=f"{len(data):,} randomised contacts",
            fix="Keep a control and a randomised share, and record arm and propensity of each.",
        )
    large = tuple(
        offer for offer in data.offers if min(_customers(data, offer)) >= MIN_CUSTOMERS_PER_ARM
    )
    unseen = cross_fit(data, large, settings) if large else None
    findings = {offer: _finding(data, offer, unseen, settings) for offer in data.offers}
    alike = _correlations(data, unseen)
    findings = {name: replace(one, correlations=alike[name]) for name, one in findings.items()}
    individual = [name for name, finding in findings.items() if finding.verdict == "individual"]
    texts = dict(DRLearner.fit(data, large, settings.learning).texts) if individual else {}
    return Study(
        findings,
        data.feature_names,
        data.horizon_days,
        {name: texts[name] for name in individual},
        data.observational,
        data.left_out,
        None if unseen is None else money_evidence(data, unseen),
        () if unseen is None or costs is None else _rules(data, unseen, costs, settings),
    )


def _rules(
    data: ExperimentData,
    unseen: OutOfFold,
    costs: Mapping[str, Floats],
    settings: StudySettings,
) -> tuple[RuleValue, ...]:
    """The value of rules; offers without a cost are given to nobody."""
    unknown = np.full(len(data), np.nan)
    cost = np.column_stack([costs.get(offer, unknown) for offer in unseen.offers])
    return tuple(rule_values(data, unseen, cost, seed=settings.seed))


def _customers(data: ExperimentData, offer: str) -> tuple[int, int]:
    """Distinct customers treated and held out in the choice sets of an offer."""
    rows = data.in_choice_set(offer)
    treated, held_out = (data.customers_assigned(name, among=rows) for name in (offer, NO_OFFER))
    return treated, held_out


def cross_fit(data: ExperimentData, offers: tuple[str, ...], settings: StudySettings) -> OutOfFold:
    """Predictions of every learner for each fold of customers, fitted on the other folds."""
    fold = customer_folds(data.customer, settings.folds, seed=settings.seed)
    outcomes = np.empty((len(data), 1 + len(offers)))
    names = ("dr", "s", "t") if settings.challengers else ("dr", "s")
    effects = {name: np.empty((len(data), len(offers))) for name in names}
    margin = np.zeros(len(data))
    for number in range(settings.folds):
        inside = fold == number
        matrix, rest = data.matrix[inside], data.only(~inside)
        learner = DRLearner.fit(rest, offers, settings.learning)
        outcomes[inside] = learner.outcome.outcomes(matrix)
        effects["dr"][inside] = learner.effects(matrix)
        effects["s"][inside] = outcomes[inside, 1:] - outcomes[inside, :1]
        trees = settings.learning.fit_margin(rest.matrix, rest.margin)
        margin[inside] = 0.0 if trees is None else predict_booster(trees, matrix)
        if settings.challengers:
            effects["t"][inside] = TLearner.fit(rest, offers, settings.learning).effects(matrix)
    pseudo = pseudo_outcomes(data, offers, outcomes)
    return OutOfFold(offers, effects, outcomes, pseudo, margin)


def _finding(
    data: ExperimentData, offer: str, unseen: OutOfFold | None, settings: StudySettings
) -> Finding:
    rows, customers = data.in_choice_set(offer), _customers(data, offer)
    if unseen is None or offer not in unseen.offers:
        return _plain_finding(data, offer, customers)
    column = unseen.offers.index(offer)
    pseudo, customer = unseen.pseudo[rows, column], data.customer[rows]
    weight = data.overlap_weights(offer)[rows]
    line = EffectLine.fit(pseudo, unseen.effects["dr"][rows, column], customer, weight)
    report = _report(data, offer, unseen, settings)
    reached, reasons = verdict(line.average, min(customers), report)
    features = data.rows.loc[rows, list(data.feature_names)]
    rate = _retained_without(data.only(rows))
    return Finding(
        offer_id=offer,
        verdict=reached,
        reasons=reasons,
        customers=customers,
        retained_without=rate,
        line=line,
        shift=_shifts(line, with_mean(rate, unseen.outcomes[rows, 0])),
        needed_per_arm=customers_per_arm(line.average.estimate, rate),
        uplift=report,
        groups=responsive_groups(features, pseudo, customer, weight),
    )


def _plain_finding(data: ExperimentData, offer: str, customers: tuple[int, int]) -> Finding:
    """The weighted difference of the arms, if they are too small for a learner."""
    part = data.only(data.in_choice_set(offer))
    rate = _retained_without(part)
    flat = np.full((len(part), 2), rate)
    line = EffectLine.fit(
        pseudo_outcomes(part, (offer,), flat)[:, 0],
        np.zeros(len(part)),
        part.customer,
        part.overlap_weights(offer),
    )
    reached, reasons = verdict(line.average, min(customers), None)
    return Finding(
        offer_id=offer,
        verdict=reached,
        reasons=reasons,
        customers=customers,
        retained_without=rate,
        line=line,
        shift=_shifts(line, np.array([rate])),
        needed_per_arm=customers_per_arm(line.average.estimate, rate),
        uplift=None,
        groups={"works": (), "harms": ()},
    )


def _correlations(data: ExperimentData, unseen: OutOfFold | None) -> dict[str, dict[str, float]]:
    """The correlation of the errors of every two average effects, from the deviations of each
    customer.
    """
    customer = customer_codes(data.customer)
    deviations = []
    for offer in data.offers:
        rows, weight = data.in_choice_set(offer), data.overlap_weights(offer)
        pseudo = _pseudo(data, offer, unseen)[rows]
        deviation = weight[rows] * (pseudo - np.average(pseudo, weights=weight[rows]))
        deviations.append(np.bincount(customer[rows], deviation, minlength=customer.max() + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.nan_to_num(_cosines(np.array(deviations)))
    return {
        one: {
            other: float(alike[i, j])
            for j, other in enumerate(data.offers)
            if j != i and alike[i, j]
        }
        for i, one in enumerate(data.offers)
    }


def _cosines(vectors: Floats) -> Floats:
    """The cosine of the angle between every two rows."""
    products = vectors @ vectors.T
    length = np.sqrt(np.diag(products))
    return np.asarray(products / np.outer(length, length))


def _pseudo(data: ExperimentData, offer: str, unseen: OutOfFold | None) -> Floats:
    """The pseudo-outcomes of an offer; from its held-out rate if its arms are too small."""
    if unseen is not None and offer in unseen.offers:
        return unseen.pseudo[:, unseen.offers.index(offer)]
    rate = _retained_without(data.only(data.in_choice_set(offer)))
    return pseudo_outcomes(data, (offer,), np.full((len(data), 2), rate))[:, 0]


def _retained_without(part: ExperimentData) -> float:
    """The retention rate of the held-out customers, weighted by 1 / propensity."""
    held_out = part.assigned(NO_OFFER)
    return float(np.average(part.retained[held_out], weights=1 / part.propensity[held_out]))


def _report(
    data: ExperimentData, offer: str, unseen: OutOfFold, settings: StudySettings
) -> UpliftReport:
    rows, column = data.in_choice_set(offer), unseen.offers.index(offer)
    scores = {name: effects[rows, column] for name, effects in unseen.effects.items()}
    scores["risk"] = -unseen.outcomes[rows, 0]
    pseudo, weight = unseen.pseudo[rows, column], data.overlap_weights(offer)[rows]
    return evaluate_rankings(
        {name: RobustRanking.of(pseudo, score, weight) for name, score in scores.items()},
        data.customer[rows],
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
