"""Predictions of purchase and dropout models, fitted to the customers before the cutoff.

The builder joins the BG/NBD expectations of each history; see `lifetime_fits`.
"""

import narwhals as nw

from churn.features.catalogue import feature
from churn.features.clock import FeatureClock
from churn.features.expressions import ratio

FADER = "Fader, Hardie and Lee (2005)"


@feature(family="lifetime", unit="probability", over="row", source=FADER)
def p_alive(_: FeatureClock) -> nw.Expr:
    """BG/NBD: the probability of not having dropped out; 1 without a repeat purchase."""
    return nw.col("bg_nbd_alive")


@feature(family="lifetime", unit="probability", over="row", source=FADER)
def p_no_purchase_in_horizon(_: FeatureClock) -> nw.Expr:
    """BG/NBD: the probability of no purchase in the next H."""
    return nw.col("bg_nbd_no_purchase")


@feature(family="lifetime", unit="days", over="row", source=FADER)
def expected_purchase_days(_: FeatureClock) -> nw.Expr:
    """BG/NBD: the mean number of purchase days in the next H."""
    return nw.col("bg_nbd_purchase_days")


@feature(
    family="lifetime",
    unit="currency per purchase day",
    over="row",
    source="Fader and Hardie (2013)",
)
def expected_day_spend(_: FeatureClock) -> nw.Expr:
    """Gamma-Gamma: the mean spend of future purchase days, from the winsorised ones so far."""
    p, q, gamma = (nw.col(f"gamma_gamma_{name}") for name in ("p", "q", "gamma"))
    own = p * (gamma + nw.col("spend_capped_total"))
    return ratio(own, p * nw.col("purchase_days") + q - 1)


@feature(family="lifetime", unit="currency", over="row")
def expected_spend_in_horizon(_: FeatureClock) -> nw.Expr:
    """Expected purchase days times the expected spend per purchase day."""
    return nw.col("expected_purchase_days") * nw.col("expected_day_spend")
