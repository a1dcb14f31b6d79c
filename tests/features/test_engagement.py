"""Newsletters, visits and carts: counts, rates, trends and ages."""

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
        wanted = feature_names(tables.connected(), families=["engagement"])
        names = [name for name in wanted if CATALOGUE[name].family == "engagement"]
        built = build_features(tables, [CUTOFF], CLOCK, names=names)
        rows = tables.engine.collect(built).to_pylist()
        (row,) = [row for row in rows if row["customer_id"] == of]
        return {name: row[name] for name in names}

    return build


def test_rates_are_per_email_sent_and_their_trend_compares_with_the_quarter_before(features):
    """Two of four opened lately, one twice; before that one of one."""
    sent = [event("email_sent", days) for days in (10, 30, 31, 90, 91)]
    opened = [event("email_open", days) for days in (9.5, 9, 30, 120)]
    found = features(order(200), events=[*sent, *opened, event("email_click", 9)])
    assert (found["emails_sent_30d"], found["emails_sent_90d"]) == (2, 4)
    assert (found["email_opens_30d"], found["email_opens_90d"]) == (3, 3)
    assert (found["email_open_rate_90d"], found["email_click_rate_90d"]) == (0.75, 0.25)
    assert found["email_open_rate_trend"] == pytest.approx((3.5 / 4.5) / (1.5 / 1.5))
    assert (found["last_email_open_days"], found["last_email_click_days"]) == (9, 9)


def test_rates_are_unknown_where_no_email_was_sent(features):
    """An open without an e-mail in the window, as of a forwarded one, makes no rate."""
    rows = [event("email_sent", 200), event("email_open", 3), event("email_click", 200)]
    found = features(order(300), events=rows)
    assert found["email_opens_90d"] == 1
    assert found["email_open_rate_90d"] is None
    assert found["email_click_rate_90d"] is None
    assert found["email_open_rate_trend"] is None


def test_visits_and_carts_stand_beside_purchases(features):
    """Visits on days 1, 7, 8, 90 and 91; three carts in the quarter and two purchases."""
    visits = [event("visit", days) for days in (1, 7, 8, 90, 91)]
    carts = [event("cart", days) for days in (2, 20, 60)]
    found = features(order(200), order(19), order(40), events=[*visits, *carts])
    assert [found[f"visits_{days}d"] for days in (7, 30, 90)] == [2, 3, 4]
    assert found["visit_trend"] == pytest.approx((3 + 0.5) / (0 / 3 + 0.5))
    assert (found["carts_30d"], found["carts_90d"], found["last_cart_days"]) == (2, 3, 2)
    assert found["purchase_days_per_cart_90d"] == pytest.approx(2 / 3)


def test_a_trend_of_visits_needs_a_tenure_of_two_horizons(features):
    rows = [event("visit", 3)]
    assert features(order(55), events=rows)["visit_trend"] is None
    assert features(order(56), events=rows)["visit_trend"] == pytest.approx(1.5 / 0.5)


def test_farewells_are_counted_and_who_never_left_has_none(features):
    rows = [event("unsubscribe", 40), event("unsubscribe", 12), event("visit", 1)]
    others = [rows[0] | {"customer_id": "ben"}, rows[1] | {"customer_id": "ben"}, rows[2]]
    left, stayed = features(order(50), events=rows), features(order(50), events=others)
    assert (left["unsubscribes"], left["last_unsubscribe_days"]) == (2, 12)
    assert (stayed["unsubscribes"], stayed["last_unsubscribe_days"]) == (0, None)


def test_only_the_types_that_the_shop_notes_give_features(features):
    """No visits are noted: no feature says that there were none."""
    found = features(order(50), events=[event("email_sent", 1)])
    assert set(found) == {"emails_sent_30d", "emails_sent_90d"}


def test_what_the_shop_sends_is_its_own_doing():
    controlled = {
        n for n, one in CATALOGUE.items() if one.family == "engagement" and one.controlled
    }
    assert controlled == {"emails_sent_30d", "emails_sent_90d"}
