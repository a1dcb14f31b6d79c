"""How customers were acquired, and how soon they bought."""

import numpy as np

from churn.arrays import Floats
from churn.features.catalogue import feature
from churn.features.clock import FeatureClock
from churn.features.formulas import Row


@feature(
    family="acquisition",
    unit="share",
    over="row",
    needs=("customers.acquisition_source",),
)
def acquisition_share(row: Row, _: FeatureClock) -> Floats:
    """Share of all customers acquired from the same source: a common one or a rare one; null if the
    source is unknown.
    """
    return np.asarray(row["acquisition_source_share"])


@feature(family="acquisition", unit="days", over="row", needs=("customers.signed_up_at",))
def days_to_first_purchase(row: Row, _: FeatureClock) -> Floats:
    """Whole days from the date of sign-up (UTC) to the first purchase day, 0 if the purchase came
    first; null without a purchase or a date of sign-up.
    """
    waited = row["cutoff"] - row["tenure_days"] - np.floor(row["signed_up_day"])
    return np.asarray(np.maximum(waited, 0.0))
