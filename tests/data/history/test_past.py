"""What is seen before a cutoff: two clocks, control groups, tickets, ratings, the customer list."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from churn.data.history.events import KINDS
from churn.data.tables import Tables

CUTOFF = date(2024, 3, 20)
EVENT = ("customer_id", "occurred_at", "event_type", "value", "ref")
NAMES = {code: kind for kind, code in KINDS.items()}


def ago(days: float) -> datetime:
    return datetime(2024, 3, 20, tzinfo=UTC) - timedelta(days=days)


def event(kind: str, days: float, **columns: Any) -> dict[str, Any]:
    at = ago(days).isoformat()
    return {"customer_id": "anna", "occurred_at": at, "event_type": kind, **columns}


@pytest.fixture
def opened(open_shop, as_table):
    """Tables of one old order and of others given as rows."""

    def build(**others: list[dict[str, Any]]) -> Tables:
        order = {"customer_id": "anna", "ordered_at": ago(300), "amount": 10.0}
        tables = {
            name: as_table(rows, EVENT if name == "events" and "loaded_at" not in rows[0] else None)
            for name, rows in others.items()
        }
        return open_shop([order], **tables)

    return build


@pytest.fixture
def events_of(past_of):
    return lambda tables, cutoff=CUTOFF: past_of(tables, cutoff, "events").events


@pytest.fixture
def seen(events_of):
    """Kind, age in days and amount of every event before the cutoff, in order."""

    def build(tables: Tables, cutoff: date = CUTOFF) -> list[tuple[str, int, float]]:
        events = events_of(tables, cutoff)
        rows = zip(events.kind, events.age_days, events.amount, strict=True)
        return sorted((NAMES[int(kind)], int(age), float(amount)) for kind, age, amount in rows)

    return build


def test_points_amount_to_their_value_and_what_is_counted_to_one(opened, seen):
    """A cart's worth is no count; unknown types are left out."""
    rows = [
        event("points_earned", 3, value="25"),
        event("cart", 2, value="99.5"),
        event("wishlist", 2),
    ]
    assert seen(opened(events=rows)) == [("cart", 2, 1.0), ("points_earned", 3, 25.0)]


def test_a_tickets_first_opening_pairs_with_the_first_closing_at_or_after_it(opened, events_of):
    """Closed before it was opened is not closed; a second opening and closing change nothing."""
    rows = [
        event("ticket_closed", 12, ref="t1"),
        event("ticket_opened", 10, ref="t1"),
        event("ticket_opened", 8, ref="t1"),
        event("ticket_closed", 6, ref="t1"),
        event("ticket_closed", 2, ref="t1"),
        event("ticket_opened", 5, ref="t2"),
        event("ticket_opened", 4),
    ]
    tickets = events_of(opened(events=rows)).tickets
    assert tickets.opened.tolist() == [True, True]
    assert tickets.days_to_close.tolist() == pytest.approx([4.0, math.nan], nan_ok=True)


def test_the_same_reference_of_two_customers_is_two_tickets(opened, events_of):
    rows = [
        event("ticket_opened", 9, ref="t1"),
        event("ticket_closed", 5, ref="t1") | {"customer_id": "ben"},
    ]
    tickets = events_of(opened(events=rows)).tickets
    assert tickets.opened.tolist() == [True, False]
    assert not tickets.closed.any()


def test_the_last_rating_is_the_mean_of_its_day(opened, events_of):
    """A review without a value says nothing."""
    rows = [
        event("review", 9, value="5"),
        event("review", 4, value="1"),
        event("review", 4, value="2"),
        event("review", 1),
        event("nps", 2, value="9"),
    ]
    events = events_of(opened(events=rows))
    assert events.last_mean("review").tolist() == [1.5]
    assert events.last_mean("nps").tolist() == [9.0]
    assert events.count(events.of("review")).tolist() == [3.0]


def test_a_control_group_was_not_contacted(opened, seen):
    """Contacts without an arm were made."""
    arms = (None, "treatment", "explore", "control", "holdout")
    rows = [
        {
            "customer_id": "anna",
            "contacted_at": ago(day).isoformat(),
            "campaign_id": "spring",
            "arm": arm,
        }
        for day, arm in enumerate(arms, start=1)
    ]
    assert [age for _, age, _ in seen(opened(contacts=rows))] == [1, 2, 3]


def test_an_event_of_the_cutoffs_day_is_future_and_each_cutoff_sees_its_own_past(opened, seen):
    rows = [event("visit", 0), event("visit", 0.25), event("visit", -1)]
    assert seen(opened(events=rows)) == [("visit", 1, 1.0)]
    later = CUTOFF + timedelta(days=2)
    assert [age for _, age, _ in seen(opened(events=rows), later)] == [1, 2, 3]


def test_each_table_has_its_own_arrival_and_one_without_arrives_as_it_happens(opened, seen):
    """The visit came in after the cutoff; the redemption of the same day has no second clock."""
    late = [event("visit", 5, loaded_at=ago(0)), event("cart", 5, loaded_at=ago(0.01))]
    redeemed = [{"customer_id": "anna", "redeemed_at": ago(5).isoformat()}]
    tables = opened(events=late, redemptions=redeemed)
    assert seen(tables) == [("cart", 5, 1.0), ("redemption", 5, 1.0)]
    assert len(seen(tables, CUTOFF + timedelta(days=1))) == 3


def test_a_closing_that_arrives_late_leaves_the_ticket_open_until_then(opened, events_of):
    rows = [
        event("ticket_opened", 9, ref="t1", loaded_at=ago(9)),
        event("ticket_closed", 5, ref="t1", loaded_at=ago(-1)),
    ]
    tables = opened(events=rows)
    assert not events_of(tables).tickets.closed.any()
    assert events_of(tables, CUTOFF + timedelta(days=2)).tickets.days_to_close.tolist() == [4.0]


def test_of_an_orders_versions_the_newest_that_had_arrived_counts(open_shop, past_of):
    order = {"customer_id": "anna", "order_id": "1", "ordered_at": ago(9)}
    versions = [
        order | {"amount": 10.0, "loaded_at": ago(8)},
        order | {"amount": 4.0, "loaded_at": ago(0)},
    ]
    tables = open_shop(versions)
    assert past_of(tables, CUTOFF).days.spend.tolist() == [10.0]
    assert past_of(tables, CUTOFF + timedelta(days=1)).days.spend.tolist() == [4.0]
    assert not len(past_of(tables, CUTOFF - timedelta(days=9)).days)


def test_money_of_a_day_is_winsorised_on_both_sides_of_zero(open_shop, past_of):
    rows = [
        {"customer_id": "anna", "ordered_at": ago(9), "amount": 90.0},
        {"customer_id": "anna", "ordered_at": ago(5), "amount": -70.0},
        {"customer_id": "anna", "ordered_at": ago(2), "amount": 3.0},
    ]
    days = past_of(open_shop(rows), CUTOFF, day_limit=20.0).days
    assert days.net.tolist() == [90.0, -70.0, 3.0]
    assert days.net_capped.tolist() == [20.0, -20.0, 3.0]
    assert days.spend_capped.tolist() == [20.0, 0.0, 3.0]
    assert days.bought.tolist() == [True, False, True]
    assert np.array_equal(days.gap_days, [np.nan, np.nan, 7.0], equal_nan=True)


def test_lines_of_a_measure_count_as_one_unit_and_products_and_categories_are_pairs(
    open_shop, past_of
):
    """Lines without a category are in a pair of their own."""
    order = {"customer_id": "anna", "order_id": "1", "ordered_at": ago(9), "amount": 9.0}
    lines = pa.table(
        {
            "order_id": ["1"] * 5,
            "product_id": ["p", "p", "s", "q", "r"],
            "category": ["food", "food", None, "food", "toys"],
            "quantity": [2.0, 1500.0, 0.0, 1.0, 3.0],
            "amount": [4.0, 1.0, 3.0, 5.0, -2.0],
            "discount": [1.0, None, -1.0, 0.0, 0.5],
        }
    )
    tables = open_shop([order], order_lines=lines)
    past = past_of(tables, CUTOFF, "lines")
    assert past.lines.count().tolist() == [4.0]  # a return is no line that was bought
    assert past.lines.total(past.lines.units, past.lines.counted).tolist() == [4.0]
    assert past.lines.total(past.lines.discount).tolist() == [1.0]
    assert past.lines.products.count().tolist() == [3.0]
    totals = past.lines.categories.totals(past.lines.amount)
    assert sorted(totals.tolist()) == [3.0, 10.0]


def test_the_customer_list_adds_those_who_had_signed_up(open_shop, as_table, past_of):
    people = as_table(
        {"customer_id": name, "signed_up_at": at, "acquisition_source": source}
        for name, at, source in (
            ("anna", "2024-03-19", "tv"),
            ("anna", "2024-01-01", "search"),
            ("dora", "2024-03-21", "tv"),
            ("emil", None, None),
        )
    )
    order = {"customer_id": "anna", "ordered_at": ago(300), "amount": 10.0}
    tables = open_shop([order], customers=people)
    past = past_of(tables, CUTOFF, "customers")
    assert past.block.customer_ids.to_pylist() == ["anna", "dora", "emil"]
    assert past.known().tolist() == [True, False, False]
    undated = past_of(tables, CUTOFF, "customers", undated=True)
    assert undated.known().tolist() == [True, False, True]
    names = past.block.texts["customers", "acquisition_source"].to_pylist()
    assert [names[code] if code >= 0 else None for code in past.acquisition_source] == [
        "search",
        None,
        None,
    ]
    assert past.signed_up_day[0] == datetime(2024, 1, 1, tzinfo=UTC).timestamp() / 86_400
