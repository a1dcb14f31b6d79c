"""How customers were acquired, and how soon they bought."""

import narwhals as nw

from churn.features.catalogue import feature
from churn.features.clock import FeatureClock


@feature(
    family="acquisition",
    unit="share",
    over="row",
    needs=("customers.acquisition_source",),
)
def acquisition_share(_: FeatureClock) -> nw.Expr:
    """Share of all customers acquired from the same source: a common one or a rare one; null if the
    source is unknown.
    """
    return nw.col("acquisition_source_share")


@feature(family="acquisition", unit="days", over="row", needs=("customers.signed_up_at",))
def days_to_first_purchase(_: FeatureClock) -> nw.Expr:
    """Whole days from the date of sign-up (UTC) to the first purchase day, 0 if the purchase came
    first; null without a purchase or a date of sign-up.
    """
    waited = nw.col("cutoff") - nw.col("tenure_days") - nw.col("signed_up_day").floor()
    return nw.when(waited > 0).then(waited).when(waited <= 0).then(nw.lit(0.0))
