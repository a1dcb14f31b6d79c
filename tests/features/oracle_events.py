"""Features of events, contacts, redemptions and sign-ups once more, in loops over plain values.

`features_of` is the whole interface. Written from the words, not from the expressions.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Values = dict[str, float | None]
WHEN = {
    "orders": "ordered_at",
    "events": "occurred_at",
    "contacts": "contacted_at",
    "redemptions": "redeemed_at",
}


@dataclass(frozen=True)
class Past:
    """One customer before a cutoff: rows of each table with their `age` in days, oldest first."""

    orders: list[Row]
    events: list[Row]
    contacts: list[Row]
    redemptions: list[Row]

    def of(self, kind: str) -> list[Row]:
        """The events of one type."""
        return [event for event in self.events if event["event_type"] == kind]


def features_of(
    shop: Mapping[str, list[Row]], cutoff: date, *, horizon: int, zone: str = "UTC"
) -> dict[str, Values]:
    """All features of every customer who had ordered or had signed up before the cutoff."""
    visible = {table: _visible(shop.get(table, []), table, cutoff, zone) for table in WHEN}
    midnight = datetime.combine(cutoff, time(), tzinfo=ZoneInfo(zone))
    people = {
        person["customer_id"]: person
        for person in shop.get("customers", [])
        if person["signed_up_at"] is not None and person["signed_up_at"] < midnight
    }
    found = {}
    for name in {order["customer_id"] for order in visible["orders"]} | set(people):
        own = {t: [r for r in rows if r["customer_id"] == name] for t, rows in visible.items()}
        past = Past(**own)
        found[name] = (
            _mails(past)
            | _visits(past, horizon)
            | _service(past)
            | _ratings(past)
            | _loyalty(past)
            | _campaigns(past)
            | _acquisition(past, name, people, cutoff)
        )
    return found


def _visible(rows: list[Row], table: str, cutoff: date, zone: str) -> list[Row]:
    midnight = datetime.combine(cutoff, time(), tzinfo=ZoneInfo(zone))
    seen = []
    for row in rows:
        happened = row[WHEN[table]].astimezone(ZoneInfo(zone)).date()
        if happened < cutoff and row.get("loaded_at", row[WHEN[table]]) < midnight:
            seen.append({**row, "age": (cutoff - happened).days})
    return sorted(seen, key=lambda row: -row["age"])


def _within(rows: list[Row], days: float) -> int:
    return sum(row["age"] <= days for row in rows)


def _last(rows: list[Row]) -> float | None:
    return min((row["age"] for row in rows), default=None)


def _over(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def _purchase_ages(past: Past) -> set[int]:
    return {order["age"] for order in past.orders if order["amount"] > 0}


def _mails(past: Past) -> Values:
    sent, opened, clicked = (past.of(f"email_{kind}") for kind in ("sent", "open", "click"))
    left = past.of("unsubscribe")
    values: Values = {}
    for days in (30, 90):
        values[f"emails_sent_{days}d"] = _within(sent, days)
        values[f"email_opens_{days}d"] = _within(opened, days)
        values[f"email_clicks_{days}d"] = _within(clicked, days)
    sends, sends_before = _within(sent, 90), _within(sent, 180) - _within(sent, 90)
    opens, opens_before = _within(opened, 90), _within(opened, 180) - _within(opened, 90)
    trend = None
    if sends and sends_before:
        late_rate = (opens + 0.5) / (sends + 0.5)
        trend = late_rate / ((opens_before + 0.5) / (sends_before + 0.5))
    return values | {
        "email_open_rate_90d": _over(opens, sends),
        "email_click_rate_90d": _over(_within(clicked, 90), sends),
        "email_open_rate_trend": trend,
        "last_email_open_days": _last(opened),
        "last_email_click_days": _last(clicked),
        "unsubscribes": len(left),
        "last_unsubscribe_days": _last(left),
    }


def _visits(past: Past, horizon: int) -> Values:
    came, filled, bought = past.of("visit"), past.of("cart"), _purchase_ages(past)
    trend = None
    if bought and max(bought) >= 2 * horizon:
        late = _within(came, horizon / 2)
        trend = (late + 0.5) / ((_within(came, 2 * horizon) - late) / 3 + 0.5)
    return {
        "visits_7d": _within(came, 7),
        "visits_30d": _within(came, 30),
        "visits_90d": _within(came, 90),
        "visit_trend": trend,
        "last_visit_days": _last(came),
        "carts_30d": _within(filled, 30),
        "carts_90d": _within(filled, 90),
        "last_cart_days": _last(filled),
        "purchase_days_per_cart_90d": _over(sum(a <= 90 for a in bought), _within(filled, 90)),
    }


def _service(past: Past) -> Values:
    opened, complained, late = (
        past.of(kind) for kind in ("ticket_opened", "complaint", "delivery_late")
    )
    still_open, days_to_close = 0, []
    for ref in {ticket["ref"] for ticket in opened if ticket.get("ref") is not None}:
        first = max(ticket["age"] for ticket in opened if ticket.get("ref") == ref)
        closings = [t["age"] for t in past.of("ticket_closed") if t.get("ref") == ref]
        after = [age for age in closings if age <= first]
        if after:
            days_to_close.append(first - max(after))
        else:
            still_open += 1
    orders = sum(order["amount"] > 0 for order in past.orders)
    return {
        "tickets_opened_90d": _within(opened, 90),
        "last_ticket_days": _last(opened),
        "tickets_open": still_open,
        "mean_days_to_close": _over(sum(days_to_close), len(days_to_close)),
        "complaints_90d": _within(complained, 90),
        "last_complaint_days": _last(complained),
        "late_deliveries_90d": _within(late, 90),
        "last_late_delivery_days": _last(late),
        "late_delivery_share": _over(len(late), orders),
    }


def _ratings(past: Past) -> Values:
    values: Values = {}
    for kind in ("review", "nps"):
        rated = [event for event in past.of(kind) if event.get("value") is not None]
        by_age: dict[int, list[float]] = defaultdict(list)
        for event in rated:
            by_age[event["age"]].append(event.get("value"))
        newest = by_age[min(by_age)] if by_age else []
        values[f"last_{kind}"] = _over(sum(newest), len(newest))
        values[f"last_{kind}_days"] = _last(rated)
    said = [event.get("value") for event in past.of("review") if event.get("value") is not None]
    return values | {"mean_review": _over(sum(said), len(said))}


def _loyalty(past: Past) -> Values:
    def points(kind: str, days: float = float("inf")) -> float:
        return sum(event.get("value") or 0.0 for event in past.of(kind) if event["age"] <= days)

    return {
        "points_balance": points("points_earned") - points("points_spent"),
        "points_earned_90d": points("points_earned", 90),
        "points_spent_90d": points("points_spent", 90),
        "last_points_spent_days": _last(past.of("points_spent")),
    }


def _campaigns(past: Past) -> Values:
    reached = [
        contact
        for contact in past.contacts
        if contact.get("arm") not in ("control", "holdout") and contact.get("offer_id") != "none"
    ]
    return {
        "contacts_90d": _within(reached, 90),
        "last_contact_days": _last(reached),
        "redemptions_total": len(past.redemptions),
        "redemptions_90d": _within(past.redemptions, 90),
        "redemption_rate": _over(len(past.redemptions), len(reached)),
        "last_redemption_days": _last(past.redemptions),
    }


def _acquisition(past: Past, name: str, people: Mapping[str, Row], cutoff: date) -> Values:
    bought, person = _purchase_ages(past), people.get(name)
    source = person and person["acquisition_source"]
    sources = [p["acquisition_source"] for p in people.values() if p["acquisition_source"]]
    waited = None
    if person is not None and bought:
        since_sign_up = (cutoff - person["signed_up_at"].astimezone(UTC).date()).days
        waited = max(0, since_sign_up - max(bought))
    return {
        "acquisition_share": sources.count(source) / len(sources) if source else None,
        "days_to_first_purchase": waited,
    }
