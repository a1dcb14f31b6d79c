"""Money of offers: the margin that an effect on retention brings, and how often it is redeemed.

The gain of an offer is taken to be `slope` x effect x margin at stake + `lift` x expected margin.
The slope corrects the margin at stake, and covers what retention does not show, such as second
orders; the lift is what customers who buy anyway spend more or less. Both come from regressions of
pseudo-outcomes of the margin on randomised contacts, shrunk to 1 and to 0, jointly over offers,
because these share their control group. Rows count by the inverse variance of margins, so that
large customers do not drown the others.

Another regression, common to all offers, settles how an effect varies with the risk of a lapse:
between one shift of the log-odds, which moves the undecided most, and a fraction of the risk. With
little evidence it is half-way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from churn.arrays import Bools, Floats
from churn.offers.catalogue import NO_OFFER, Offer
from churn.offers.effects import MoneyTerms, redemption_of_buyers
from churn.uplift.experiment import ExperimentData, customer_codes

if TYPE_CHECKING:
    from churn.uplift.study import OutOfFold

SLOPE_ERROR = 1.0
LIFT_ERROR = 0.01
LEAN_ERROR = 0.5
"""Standard deviations of what is assumed: a slope of 1, a lift of 0, a lean of .5."""
PRIOR_REDEMPTIONS = 10.0
"""Expected redemptions that the rate of the catalogue counts for."""
LEAST_VARIANCE = 0.02
WINSORISED = 0.999
NOTHING_KNOWN = 1e6
RETAINED, MARGIN = slice(0, 2), slice(2, 5)
COLUMNS = 5
"""Coefficients of an offer: the effect on p (1 - p) and on p, the gain on these times the margin at
stake, and on the expected margin."""


@dataclass(frozen=True)
class MoneyEvidence:
    """What the randomised contacts say of the money of m offers.

    `coefficients` (m x 5) are those of the regressions on a customer's risk p, margin at stake and
    expected margin; p (1 - p) and p are divided by their means. `covariance` (5 m x 5 m) is
    clustered by customer. `mean_risk` (m) is that of the contacts. Of those sent an offer,
    `redeemed` (m) redeemed it, NaN if that is not known, and `ordered` (m) were expected to order.
    """

    offers: tuple[str, ...]
    coefficients: Floats
    covariance: Floats
    mean_risk: Floats
    redeemed: Floats
    ordered: Floats

    def lean(self, effects: Mapping[str, float]) -> float:
        """How effects of those averages vary with the risk: 0 as one shift of the log-odds, 1 in
        proportion to the risk.
        """
        used = [name for name in self.offers if name in effects]
        if not used:
            return 0.0
        average = np.array([effects[name] for name in used])
        rows = self._rows(used, RETAINED)
        turn, base = (np.outer(average, sign).ravel() for sign in ([-1.0, 1.0], [1.0, 0.0]))
        found = self.coefficients.ravel()[rows] - base
        prior = np.array([[LEAN_ERROR**2]])
        lean = _updated(turn[:, None], found, self._errors(rows), np.array([0.5]), prior)
        return float(np.clip(lean[0], 0.0, 1.0))

    def terms(
        self, offers: Sequence[Offer], effects: Mapping[str, float], retained: float
    ) -> tuple[MoneyTerms | None, ...]:
        """How the money of each offer follows from its average effect; None without evidence.
        `retained` is the mean P(retained), at which the rates of the catalogue hold.
        """
        used = [name for name in self.offers if name in effects]
        if not used:
            return (None,) * len(offers)
        lean, rows = self.lean(effects), self._rows(used, MARGIN)
        mapping = np.zeros((len(rows), 2 * len(used)))
        for place, name in enumerate(used):
            mapping[3 * place : 3 * place + 2, 2 * place] = effects[name] * np.array(
                [1 - lean, lean]
            )
            mapping[3 * place + 2, 2 * place + 1] = 1.0
        mean = np.tile([1.0, 0.0], len(used))
        prior = np.diag(np.tile([SLOPE_ERROR**2, LIFT_ERROR**2], len(used)))
        found = self.coefficients.ravel()[rows]
        known = _updated(mapping, found, self._errors(rows), mean, prior).reshape(-1, 2)
        money = dict(zip(used, known, strict=True))
        return tuple(
            MoneyTerms(
                max(float(money[offer.offer_id][0]), 0.0),
                float(money[offer.offer_id][1]),
                self._redemption(offer, retained),
            )
            if offer.offer_id in money
            else None
            for offer in offers
        )

    def mean_risk_of(self, offer: str) -> float:
        """The mean risk of the contacts of an offer."""
        return float(self.mean_risk[self.offers.index(offer)])

    def _redemption(self, offer: Offer, retained: float) -> float:
        """P(redeemed | an order), the catalogue's rate updated by the redemptions observed."""
        place, assumed = self.offers.index(offer.offer_id), redemption_of_buyers(offer, retained)
        redeemed = float(self.redeemed[place])
        if np.isnan(redeemed) or not assumed > 0:
            return assumed
        orders = PRIOR_REDEMPTIONS / assumed + float(self.ordered[place])
        return (PRIOR_REDEMPTIONS + redeemed) / orders

    def _rows(self, offers: Sequence[str], part: slice) -> list[int]:
        places = [COLUMNS * self.offers.index(name) for name in offers]
        return [place + column for place in places for column in range(COLUMNS)[part]]

    def _errors(self, rows: list[int]) -> Floats:
        return self.covariance[np.ix_(rows, rows)]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON; an unknown number of redemptions is None."""
        return {
            "offers": list(self.offers),
            "coefficients": self.coefficients.tolist(),
            "covariance": self.covariance.tolist(),
            "mean_risk": self.mean_risk.tolist(),
            "redeemed": [None if np.isnan(count) else count for count in self.redeemed.tolist()],
            "ordered": self.ordered.tolist(),
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; raises KeyError, TypeError or ValueError for other input."""
        offers = tuple(str(name) for name in entry["offers"])
        shapes = {
            "coefficients": (len(offers), COLUMNS),
            "covariance": (COLUMNS * len(offers),) * 2,
            **dict.fromkeys(("mean_risk", "redeemed", "ordered"), (len(offers),)),
        }
        arrays = {name: np.array(entry[name], dtype=float) for name in shapes}
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} must have the shape {shape}")
        return cls(offers, **arrays)


def _updated(mapping: Floats, found: Floats, errors: Floats, mean: Floats, prior: Floats) -> Floats:
    """The mean of b ~ N(mean, prior) after mapping @ b was found with that covariance of errors."""
    spread = prior @ mapping.T
    gain = np.linalg.solve(mapping @ spread + errors, spread.T).T
    return np.asarray(mean + gain @ (found - mapping @ mean))


def money_evidence(data: ExperimentData, unseen: OutOfFold) -> MoneyEvidence:
    """The evidence on the offers with out-of-fold predictions.

    Coefficients are found offer by offer; the influence of each customer on all of them gives their
    covariance.
    """
    customer = customer_codes(data.customer)
    found, influence, risks = [], [], []
    for column, offer in enumerate(unseen.offers):
        rows = data.in_choice_set(offer)
        risk = np.clip(1 - unseen.outcomes[rows, 0], 1e-3, 1 - 1e-3)
        expected, surprise, scale = surprising(data.margin[rows], unseen.margin[rows])
        overlap, undecided = data.overlap_weights(offer)[rows], risk * (1 - risk)
        shapes = np.column_stack([undecided / undecided.mean(), risk / risk.mean()])
        stake = shapes * (expected / (1 - risk))[:, None]
        weight = overlap / np.maximum(undecided, LEAST_VARIANCE)
        parts = (
            _regression(shapes, unseen.pseudo[rows, column], weight),
            _regression(
                np.column_stack([stake, expected]),
                _contrast(data, offer, rows) * surprise,
                overlap / scale**2,
            ),
        )
        found.append(np.concatenate([coefficients for coefficients, _ in parts]))
        by_row = np.zeros((len(data), COLUMNS))
        by_row[rows] = np.column_stack([each for _, each in parts])
        count = int(customer.max()) + 1
        influence += [np.bincount(customer, each, minlength=count) for each in by_row.T]
        risks.append(float(risk.mean()))
    matrix = np.array(influence)
    covariance = np.asarray(matrix @ matrix.T, dtype=float)
    silent = np.diag(covariance) == 0  # without any margin, nothing is known of it
    covariance[silent, silent] = NOTHING_KNOWN
    return MoneyEvidence(
        unseen.offers,
        np.array(found),
        covariance,
        np.array(risks),
        *_redemptions(data, unseen),
    )


def surprising(margin: Floats, predicted: Floats) -> tuple[Floats, Floats, Floats]:
    """The margin expected of each row, at least 0; what it differs by, cut to the quantile
    `WINSORISED` so that no single order decides; and the scale on which such differences compare.
    """
    expected = np.maximum(predicted, 0.0)
    scale = expected + max(float(np.median(expected)), 0.1 * float(expected.mean()), 1e-9)
    return expected, scale * _winsorised((margin - expected) / scale), scale


def _regression(columns: Floats, target: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The coefficients of weighted least squares, and the influence of each row on them."""
    inverse = np.linalg.pinv(columns.T @ (columns * weight[:, None]), hermitian=True)
    coefficients = inverse @ (columns.T @ (weight * target))
    residual = weight * (target - columns @ coefficients)
    return coefficients, (columns * residual[:, None]) @ inverse


def _contrast(data: ExperimentData, offer: str, rows: Bools) -> Floats:
    """1 / propensity of the rows with the offer, minus that of those without any."""
    sign = data.assigned(offer)[rows].astype(float) - data.assigned(NO_OFFER)[rows]
    return np.asarray(sign / data.propensity[rows])


def _winsorised(values: Floats) -> Floats:
    """Values cut to the quantile `WINSORISED` of their size."""
    most = float(np.quantile(np.abs(values), WINSORISED)) if len(values) else 0.0
    return np.clip(values, -most, most)


def _redemptions(data: ExperimentData, unseen: OutOfFold) -> tuple[Floats, Floats]:
    """Redemptions of those sent each offer, and how many of them were expected to order."""
    known = data.redeemed
    sent = [data.assigned(offer) for offer in unseen.offers]
    redeemed = [np.nan if known is None else float(known[rows].sum()) for rows in sent]
    ordered = [float(unseen.outcomes[rows, 1 + n].sum()) for n, rows in enumerate(sent)]
    return np.array(redeemed), np.array(ordered)
