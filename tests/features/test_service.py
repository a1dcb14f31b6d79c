"""Tickets, complaints, late goods and ratings."""

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
        wanted = feature_names(tables.connected(), families=["service"])
        names = [name for name in wanted if CATALOGUE[name].family == "service"]
        built = build_features(tables, [CUTOFF], CLOCK, names=names)
        rows = tables.engine.collect(built).to_pylist()
        (row,) = [row for row in rows if row["customer_id"] == of]
        return {name: row[name] for name in names}

    return build


def test_open_tickets_and_the_days_it_took_to_close_the_others(features):
    """Closed after 4 and after 0 days; one still open; one without a reference is only counted."""
    rows = [
        event("ticket_opened", 20, ref="t1"),
        event("ticket_closed", 16, ref="t1"),
        event("ticket_opened", 95, ref="t2"),
        event("ticket_closed", 94.8, ref="t2"),
        event("ticket_opened", 7, ref="t3"),
        event("ticket_opened", 3),
    ]
    found = features(order(200), events=rows)
    assert (found["tickets_opened_90d"], found["last_ticket_days"]) == (3, 3)
    assert (found["tickets_open"], found["mean_days_to_close"]) == (1, 2)


def test_without_references_nobody_can_tell_what_is_open(features):
    rows = [event("ticket_opened", 20), event("ticket_closed", 16)]
    assert set(features(order(50), events=rows)) == {"tickets_opened_90d", "last_ticket_days"}


def test_a_customer_without_a_ticket_has_none_open_and_no_time_to_close(features):
    rows = [event("ticket_opened", 9, ref="t1"), event("ticket_closed", 8, ref="t1")]
    others = [row | {"customer_id": "ben"} for row in rows]
    found = features(order(50), events=others)
    assert (found["tickets_opened_90d"], found["tickets_open"]) == (0, 0)
    assert (found["mean_days_to_close"], found["last_ticket_days"]) == (None, None)


def test_complaints_and_late_goods_lately_and_late_goods_per_order(features):
    late = [event("delivery_late", days) for days in (5, 120)]
    found = features(
        *(order(days) for days in (8, 50, 125, 150)), events=[*late, event("complaint", 4)]
    )
    assert (found["complaints_90d"], found["last_complaint_days"]) == (1, 4)
    assert (found["late_deliveries_90d"], found["last_late_delivery_days"]) == (1, 5)
    assert found["late_delivery_share"] == 0.5


def test_the_last_ratings_are_those_of_the_newest_day(features):
    """Two reviews on one day count by their mean; all reviews by theirs."""
    rows = [
        event("review", 60, value="5"),
        event("review", 9.9, value="1"),
        event("review", 9.1, value="2"),
        event("review", 2),
        event("nps", 30, value="9"),
        event("nps", 3, value="0"),
    ]
    found = features(order(100), events=rows)
    assert (found["last_review"], found["last_review_days"]) == (1.5, 10)
    assert found["mean_review"] == pytest.approx(8 / 3)
    assert (found["last_nps"], found["last_nps_days"]) == (0, 3)


def test_who_never_rated_has_no_rating_rather_than_a_bad_one(features):
    rows = [event("review", 5, value="4"), event("nps", 5, value="4")]
    others = [row | {"customer_id": "ben"} for row in rows]
    found = features(order(50), events=others)
    assert set(found.values()) == {None}
