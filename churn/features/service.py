"""Service quality and feedback: tickets, complaints, late deliveries, ratings."""

import narwhals as nw

from churn.features.catalogue import feature, features_over, sums
from churn.features.clock import FeatureClock
from churn.features.event_aggregates import amounts, counts, counts_in_windows, last_days
from churn.features.expressions import ratio

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
    tickets_begun=counts("ticket_begun"),
    tickets_ended=counts("ticket_ended"),
    ticket_days=amounts("ticket_ended"),
)
sums("events", needs=LATE, empty=0.0, late_deliveries=counts("delivery_late"))
sums(
    "events",
    needs=REVIEWED,
    empty=0.0,
    reviews=counts("review"),
    review_sum=amounts("review"),
    review_change=amounts("review_change"),
)
sums(
    "events",
    needs=ANSWERED,
    empty=0.0,
    nps_answers=counts("nps"),
    nps_change=amounts("nps_change"),
)
for _needs, _members, _unit in (
    (
        OPENED,
        counts_in_windows("tickets_opened", "Tickets opened", "ticket_opened", [90]),
        "tickets",
    ),
    (COMPLAINED, counts_in_windows("complaints", "Complaints", "complaint", [90]), "complaints"),
    (
        LATE,
        counts_in_windows("late_deliveries", "Late deliveries", "delivery_late", [90]),
        "deliveries",
    ),
):
    features_over("events", _members, family="service", unit=_unit, needs=_needs, empty=0.0)


@feature(family="service", unit="tickets", over="row", needs=PAIRED)
def tickets_open(_: FeatureClock) -> nw.Expr:
    """Tickets opened and not yet closed: closing a ticket on the day of its first opening, or
    later, ends it. Tickets without a reference are ignored.
    """
    return nw.col("tickets_begun") - nw.col("tickets_ended")


@feature(family="service", unit="days", over="row", needs=PAIRED)
def mean_days_to_close(_: FeatureClock) -> nw.Expr:
    """Mean whole days from a ticket's first opening to its first closing; null without a closed
    one.
    """
    return ratio(nw.col("ticket_days"), nw.col("tickets_ended"))


@feature(family="service", unit="days", over="events", needs=OPENED)
def last_ticket_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last opening of a ticket to the cutoff; null if there was none."""
    return last_days("ticket_opened")(clock)


@feature(family="service", unit="days", over="events", needs=COMPLAINED)
def last_complaint_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last complaint to the cutoff; null if there was none."""
    return last_days("complaint")(clock)


@feature(family="service", unit="days", over="events", needs=LATE)
def last_late_delivery_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last late delivery to the cutoff; null if there was none."""
    return last_days("delivery_late")(clock)


@feature(family="service", unit="late deliveries per order", over="row", needs=LATE)
def late_delivery_share(_: FeatureClock) -> nw.Expr:
    """Late deliveries divided by all orders; null without an order."""
    return ratio(nw.col("late_deliveries"), nw.col("orders_count"))


@feature(family="service", unit="rating", over="row", needs=REVIEWED)
def last_review(_: FeatureClock) -> nw.Expr:
    """The rating of the last review, the mean if a day has several; null without one."""
    return nw.when(nw.col("reviews") > 0).then(nw.col("review_change"))


@feature(family="service", unit="days", over="events", needs=REVIEWED)
def last_review_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last review with a rating to the cutoff; null if there was none."""
    return last_days("review")(clock)


@feature(family="service", unit="rating", over="row", needs=REVIEWED)
def mean_review(_: FeatureClock) -> nw.Expr:
    """Mean rating of all reviews; null without one."""
    return ratio(nw.col("review_sum"), nw.col("reviews"))


@feature(family="service", unit="0 to 10", over="row", needs=ANSWERED)
def last_nps(_: FeatureClock) -> nw.Expr:
    """The last answer to "would you recommend us?", the mean if a day has several; null without
    one.
    """
    return nw.when(nw.col("nps_answers") > 0).then(nw.col("nps_change"))


@feature(family="service", unit="days", over="events", needs=ANSWERED)
def last_nps_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last such answer to the cutoff; null if there was none."""
    return last_days("nps")(clock)
