import numpy as np
import pandas as pd
import pytest

from churn.errors import DataError
from churn.uplift.experiment import ExperimentData


def experiment_of(*rows: tuple[str, str, str], propensity: float = 0.5) -> ExperimentData:
    columns = zip(*rows, strict=True)
    customer, lot, offer = (list(column) for column in columns)
    frame = pd.DataFrame({"customer_id": customer, "lot": lot, "offer_id": offer})
    return ExperimentData(
        frame.assign(propensity=propensity, retained=1.0, margin=0.0, x=1.0), ("x",), 28
    )


def test_an_offer_is_compared_only_in_lots_that_also_gave_none():
    data = experiment_of(
        ("ann", "spring", "coupon"), ("bob", "spring", "none"), ("cid", "autumn", "gift")
    )
    assert data.offers == ("coupon",)
    assert data.could_get("coupon").tolist() == [True, True, False]
    assert not data.could_get("gift").any()


def test_arms_are_counted_by_customer():
    data = experiment_of(("ann", "a", "coupon"), ("ann", "b", "coupon"), ("bob", "a", "none"))
    everyone = np.ones(3, dtype=bool)
    assert data.customers_given("coupon", among=everyone) == 1


@pytest.mark.parametrize("propensity", [0.0, 1.0, float("nan")])
def test_what_no_lot_decided_is_no_part_of_an_experiment(propensity):
    with pytest.raises(DataError, match="Leave out contacts that were not randomised"):
        experiment_of(("ann", "spring", "coupon"), propensity=propensity)


def test_an_experiment_without_its_features_is_refused():
    rows = experiment_of(("ann", "spring", "coupon")).rows
    with pytest.raises(DataError, match=r"an experiment lacks column\(s\) \['y'\]"):
        ExperimentData(rows, ("x", "y"), 28)
