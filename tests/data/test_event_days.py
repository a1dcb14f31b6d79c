"""Events, contacts and redemptions in one form: what counts, when it arrives, what is derived."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from churn.data.event_days import KINDS, event_days, event_rows
from churn.data.history import history
from churn.data.tables import Tables

CUTOFF = date(2024, 3, 20)
EVENT = ("customer_id", "occurred_at", "event_type", "value", "ref")
NAMES = {code: kind for kind, code in KINDS.items()}


def ago(days: float) -> datetime:
    return datetime(2024, 3, 20, tzinfo=UTC) - timedelta(days=days)


def event(kind: str, days: float, **columns: Any) -> dict[str, Any]:
    return {
        "customer_id": "anna",
        "occurred_at": ago(days).isoformat(),
        "event_type": kind,
        **columns,
    }


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


def seen(tables: Tables, *cutoffs: date) -> list[tuple[str, int, float | None]]:
    """Kind, age in days and amount of everything before the cutoff, in order."""
    found = history(tables, cutoffs or [CUTOFF], grains=("days", "events")).events
    rows = tables.engine.collect(found).to_pylist()
    return sorted((NAMES[row["kind"]], row["age_days"], row["amount"]) for row in rows)


def test_points_amount_to_their_value_and_what_is_counted_to_one(opened):
    """A cart's worth is no count; unknown types are left out."""
    rows = [
        event("points_earned", 3, value="25"),
        event("cart", 2, value="99.5"),
        event("wishlist", 2),
    ]
    assert seen(opened(events=rows)) == [("cart", 2, 1.0), ("points_earned", 3, 25.0)]


def test_a_tickets_first_opening_pairs_with_the_first_closing_at_or_after_it(opened):
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
    derived = [
        row for row in seen(opened(events=rows)) if row[0].startswith(("ticket_b", "ticket_e"))
    ]
    assert derived == [
        ("ticket_begun", 5, 1.0),
        ("ticket_begun", 10, 1.0),
        ("ticket_ended", 6, 4.0),
    ]


def test_the_same_reference_of_two_customers_is_two_tickets(opened):
    rows = [
        event("ticket_opened", 9, ref="t1"),
        event("ticket_closed", 5, ref="t1") | {"customer_id": "ben"},
    ]
    assert not [row for row in seen(opened(events=rows)) if row[0] == "ticket_ended"]


def test_changes_of_ratings_add_up_to_the_last_one(opened):
    """Two reviews of a day count by their mean; one without a value says nothing."""
    rows = [
        event("review", 9, value="5"),
        event("review", 4, value="1"),
        event("review", 4, value="2"),
        event("review", 1),
        event("nps", 2, value="9"),
    ]
    found = seen(opened(events=rows))
    assert [row for row in found if row[0] == "review_change"] == [
        ("review_change", 4, -3.5),
        ("review_change", 9, 5.0),
    ]
    assert ("nps_change", 2, 9.0) in found
    assert sum(kind == "review" for kind, _, _ in found) == 3


def test_a_control_group_was_not_contacted(opened):
    """Whoever is in no arm was."""
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
    assert [row[1] for row in seen(opened(contacts=rows))] == [1, 2, 3]


def test_an_event_of_the_cutoffs_day_is_future_and_each_cutoff_sees_its_own_past(opened):
    rows = [event("visit", 0), event("visit", 0.25), event("visit", -1)]
    assert seen(opened(events=rows)) == [("visit", 1, 1.0)]
    later = CUTOFF + timedelta(days=2)
    both = [("visit", 1, 1.0), ("visit", 1, 1.0), ("visit", 2, 1.0), ("visit", 3, 1.0)]
    assert seen(opened(events=rows), CUTOFF, later) == both


def test_each_table_has_its_own_arrival_and_one_without_arrives_as_it_happens(opened):
    """The visit came in after the cutoff; the redemption of the same day has no second clock."""
    late = [event("visit", 5, loaded_at=ago(0)), event("cart", 5, loaded_at=ago(0.01))]
    redeemed = [{"customer_id": "anna", "redeemed_at": ago(5).isoformat()}]
    tables = opened(events=late, redemptions=redeemed)
    assert seen(tables) == [("cart", 5, 1.0), ("redemption", 5, 1.0)]
    assert len(seen(tables, CUTOFF + timedelta(days=1))) == 3


def test_a_closing_that_arrives_late_leaves_the_ticket_open_until_then(opened):
    rows = [
        event("ticket_opened", 9, ref="t1", loaded_at=ago(9)),
        event("ticket_closed", 5, ref="t1", loaded_at=ago(-1)),
    ]
    tables = opened(events=rows)
    assert not [row for row in seen(tables) if row[0] == "ticket_ended"]
    assert ("ticket_ended", 7, 4.0) in seen(tables, CUTOFF + timedelta(days=2))


def test_the_codes_of_kinds_are_small_numbers_of_their_own(opened):
    """No text goes through joins and groups."""
    tables = opened(events=[event("visit", 1)])
    rows = tables.engine.collect(event_days(event_rows(tables), ["customer_id"]))
    assert str(rows.schema.field("kind").type) == "int8"
    assert len(set(KINDS.values())) == len(KINDS)
