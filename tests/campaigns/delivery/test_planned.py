"""A plan is known again by what it decided, whatever run wrote it and in whatever order."""

from datetime import date

import pyarrow as pa
import pytest

from churn.campaigns.delivery.planned import Planned
from churn.errors import DataError

ROW = {
    "campaign_id": "spring",
    "offer_id": "coupon",
    "channel": "email",
    "arm": "treatment",
    "expires_on": date(2024, 2, 1),
    "as_of": date(2024, 1, 1),
    "run_id": "r-1",
}


def plan(*rows, **every):
    return pa.Table.from_pylist(
        [{**ROW, "customer_id": f"c{n}", **every, **row} for n, row in enumerate(rows)]
    )


def test_a_plan_says_its_campaign_its_date_and_its_run():
    planned = Planned.read(plan({}, {}))
    assert (planned.campaign_id, planned.as_of, planned.run_id) == (
        "spring",
        date(2024, 1, 1),
        "r-1",
    )


def test_order_and_run_do_not_change_what_was_decided_and_an_offer_does():
    first, again = Planned.read(plan({}, {})), Planned.read(plan({}, {}, run_id="r-2"))
    turned = Planned.read(plan({}, {}).take([1, 0]))
    other = Planned.read(plan({}, {"offer_id": "gift"}))
    assert first.digest == again.digest == turned.digest != other.digest


def test_who_is_offered_nothing_does_not_change_what_was_decided():
    nothing = {"offer_id": "none", "channel": None, "expires_on": None, "arm": "holdout"}
    assert Planned.read(plan({}, nothing)).digest == Planned.read(plan({})).digest


def test_a_plan_without_rows_is_none():
    assert Planned.read(plan({}).slice(0, 0)) is None


def test_a_customer_who_stands_twice_and_mixed_plans_are_refused():
    with pytest.raises(DataError, match="a plan must contain every customer_id once"):
        Planned.read(plan({}, {"customer_id": "c0"}))
    with pytest.raises(DataError, match="a plan must be of one campaign_id, got 2"):
        Planned.read(plan({}, {"campaign_id": "summer"}))
