"""Predictions of purchase and dropout models, fitted to the customers before the cutoff.

The builder computes the BG/NBD expectations of each history; see `lifetime_fits`.
"""

import numpy as np

from churn.arrays import Floats
from churn.features.catalogue import feature
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, ratio

FADER = "Fader, Hardie and Lee (2005)"


@feature(family="lifetime", unit="probability", over="row", source=FADER)
def p_alive(row: Row, _: FeatureClock) -> Floats:
    """BG/NBD: the probability of not having dropped out; 1 without a repeat purchase."""
    return np.asarray(row["bg_nbd_alive"])


@feature(family="lifetime", unit="probability", over="row", source=FADER)
def p_no_purchase_in_horizon(row: Row, _: FeatureClock) -> Floats:
    """BG/NBD: the probability of no purchase in the next H."""
    return np.asarray(row["bg_nbd_no_purchase"])


@feature(family="lifetime", unit="days", over="row", source=FADER)
def expected_purchase_days(row: Row, _: FeatureClock) -> Floats:
    """BG/NBD: the mean number of purchase days in the next H."""
    return np.asarray(row["bg_nbd_purchase_days"])


@feature(
    family="lifetime",
    unit="currency per purchase day",
    over="row",
    source="Fader and Hardie (2013)",
)
def expected_day_spend(row: Row, _: FeatureClock) -> Floats:
    """Gamma-Gamma: the mean spend of future purchase days, from the winsorised ones so far."""
    p, q, gamma = (row[f"gamma_gamma_{name}"] for name in ("p", "q", "gamma"))
    own = p * (gamma + row["spend_capped_total"])
    return ratio(own, p * row["purchase_days"] + q - 1)


@feature(family="lifetime", unit="currency", over="row")
def expected_spend_in_horizon(row: Row, _: FeatureClock) -> Floats:
    """Expected purchase days times the expected spend per purchase day."""
    return np.asarray(row["expected_purchase_days"] * row["expected_day_spend"])
