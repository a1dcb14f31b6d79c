"""Points, contacts and redemptions."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE, feature_names
from churn.features.clock import FeatureClock

CUTOFF = date(2024, 5, 1)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)


def ago(days: float) -> datetime:
    return datetime(2024, 5, 1, tzinfo=UTC) - timedelta(days=days)


def order(days: float) -> dict[str, Any]:
    return {"customer_id": "anna", "ordered_at": ago(days), "amount": 10.0}


def event(kind: str, days: float, **columns: Any) -> dict[str, Any]:
    at = ago(days).isoformat()
    return {"customer_id": "anna", "occurred_at": at, "event_type": kind, **columns}


@pytest.fixture
def features(open_shop, as_table):
    """The features of the family on 2024-05-01, of anna unless said otherwise."""

    def build(
        *orders: dict[str, Any], of: str = "anna", **others: list[dict[str, Any]]
    ) -> dict[str, Any]:
        tables = open_shop(orders, **{name: as_table(rows) for name, rows in others.items()})
        wanted = feature_names(tables.connected(), families=["loyalty"])
        names = [name for name in wanted if CATALOGUE[name].family == "loyalty"]
        built = build_features(tables, [CUTOFF], CLOCK, names=names)
        rows = tables.engine.collect(built).to_pylist()
        (row,) = [row for row in rows if row["customer_id"] == of]
        return {name: row[name] for name in names}

    return build


def contact(days: float, **columns: Any) -> dict[str, Any]:
    at = ago(days).isoformat()
    return {"customer_id": "anna", "contacted_at": at, "campaign_id": "spring", **columns}


def redemption(days: float) -> dict[str, Any]:
    return {"customer_id": "anna", "redeemed_at": ago(days).isoformat()}


def test_the_balance_is_what_was_earned_less_what_was_spent(features):
    rows = [
        event("points_earned", 100, value="80"),
        event("points_earned", 10, value="30"),
        event("points_spent", 91, value="50"),
        event("points_spent", 6, value="20"),
    ]
    assert features(order(100), events=rows) == {
        "points_balance": 40,
        "points_earned_90d": 30,
        "points_spent_90d": 20,
        "last_points_spent_days": 6,
    }


def test_points_without_their_number_give_no_feature(features):
    assert features(order(50), events=[event("points_earned", 3)]) == {}


def test_contacts_and_redemptions_need_no_table_of_events(features):
    """Two contacts that were made, one held out, one redemption."""
    contacts = [
        contact(100, arm="treatment"),
        contact(20, arm="explore"),
        contact(5, arm="holdout"),
    ]
    found = features(order(150), contacts=contacts, redemptions=[redemption(18)])
    assert found == {
        "contacts_90d": 1,
        "last_contact_days": 20,
        "redemptions_total": 1,
        "redemptions_90d": 1,
        "redemption_rate": 0.5,
        "last_redemption_days": 18,
    }


def test_who_was_never_contacted_has_no_rate_of_redemption(features):
    other = contact(20) | {"customer_id": "ben"}
    found = features(order(150), contacts=[other], redemptions=[redemption(18)])
    assert (found["contacts_90d"], found["last_contact_days"]) == (0, None)
    assert (found["redemptions_total"], found["redemption_rate"]) == (1, None)


def test_contacts_are_the_shops_own_doing_and_redemptions_are_not():
    controlled = {n for n, one in CATALOGUE.items() if one.family == "loyalty" and one.controlled}
    assert controlled == {"contacts_90d", "last_contact_days"}
