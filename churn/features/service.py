"""Service quality and feedback: tickets, complaints, late deliveries, ratings."""

import numpy as np

from churn.arrays import Floats
from churn.data.history.events import Events
from churn.features.catalogue import feature, features_over, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import (
    Row,
    event_amount,
    event_count,
    event_counts,
    last_event_days,
    ratio,
)

OPENED = ("events.ticket_opened",)
PAIRED = ("events.ticket_opened", "events.ticket_closed", "events.ref")
COMPLAINED = ("events.complaint",)
LATE = ("events.delivery_late",)
REVIEWED = ("events.review", "events.value")
ANSWERED = ("events.nps", "events.value")

sums(
    "events",
    needs=PAIRED,
    empty=0.0,
    tickets_begun=lambda events, _: events.tickets.count(events.tickets.opened),
    tickets_ended=lambda events, _: events.tickets.count(events.tickets.closed),
    ticket_days=lambda events, _: events.tickets.total(
        events.tickets.days_to_close, events.tickets.closed
    ),
)
sums("events", needs=LATE, empty=0.0, late_deliveries=event_count("delivery_late"))
sums(
    "events",
    needs=REVIEWED,
    empty=0.0,
    reviews=event_count("review"),
    review_sum=event_amount("review"),
)
for _needs, _members, _unit in (
    (
        OPENED,
        event_counts("tickets_opened", "Tickets opened", "ticket_opened", [90]),
        "tickets",
    ),
    (COMPLAINED, event_counts("complaints", "Complaints", "complaint", [90]), "complaints"),
    (
        LATE,
        event_counts("late_deliveries", "Late deliveries", "delivery_late", [90]),
        "deliveries",
    ),
):
    features_over("events", _members, family="service", unit=_unit, needs=_needs, empty=0.0)


@feature(family="service", unit="tickets", over="row", needs=PAIRED)
def tickets_open(row: Row, _: FeatureClock) -> Floats:
    """Tickets opened and not yet closed: closing a ticket on the day of its first opening, or
    later, ends it. Tickets without a reference are ignored.
    """
    return np.asarray(row["tickets_begun"] - row["tickets_ended"])


@feature(family="service", unit="days", over="row", needs=PAIRED)
def mean_days_to_close(row: Row, _: FeatureClock) -> Floats:
    """Mean whole days from a ticket's first opening to its first closing; null without a closed
    one.
    """
    return ratio(row["ticket_days"], row["tickets_ended"])


@feature(family="service", unit="days", over="events", needs=OPENED)
def last_ticket_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last opening of a ticket to the cutoff; null if there was none."""
    return last_event_days("ticket_opened")(events, clock)


@feature(family="service", unit="days", over="events", needs=COMPLAINED)
def last_complaint_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last complaint to the cutoff; null if there was none."""
    return last_event_days("complaint")(events, clock)


@feature(family="service", unit="days", over="events", needs=LATE)
def last_late_delivery_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last late delivery to the cutoff; null if there was none."""
    return last_event_days("delivery_late")(events, clock)


@feature(family="service", unit="late deliveries per order", over="row", needs=LATE)
def late_delivery_share(row: Row, _: FeatureClock) -> Floats:
    """Late deliveries divided by all orders; null without an order."""
    return ratio(row["late_deliveries"], row["orders_count"])


@feature(family="service", unit="rating", over="events", needs=REVIEWED)
def last_review(events: Events, _: FeatureClock) -> Floats:
    """The rating of the last review, the mean if a day has several; null without one."""
    return events.last_mean("review")


@feature(family="service", unit="days", over="events", needs=REVIEWED)
def last_review_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last review with a rating to the cutoff; null if there was none."""
    return last_event_days("review")(events, clock)


@feature(family="service", unit="rating", over="row", needs=REVIEWED)
def mean_review(row: Row, _: FeatureClock) -> Floats:
    """Mean rating of all reviews; null without one."""
    return ratio(row["review_sum"], row["reviews"])


@feature(family="service", unit="0 to 10", over="events", needs=ANSWERED)
def last_nps(events: Events, _: FeatureClock) -> Floats:
    """The last answer to "would you recommend us?", the mean if a day has several; null without
    one.
    """
    return events.last_mean("nps")


@feature(family="service", unit="days", over="events", needs=ANSWERED)
def last_nps_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last such answer to the cutoff; null if there was none."""
    return last_event_days("nps")(events, clock)
