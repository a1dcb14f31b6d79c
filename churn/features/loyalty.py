"""Points held, earned and spent; campaign contacts received, and coupons redeemed."""

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

EARNED = ("events.points_earned", "events.value")
SPENT = ("events.points_spent", "events.value")
CONTACTED = ("contacts",)
REDEEMED = ("redemptions",)

sums("events", needs=EARNED, empty=0.0, points_earned=event_amount("points_earned"))
sums("events", needs=SPENT, empty=0.0, points_spent=event_amount("points_spent"))
sums("events", needs=CONTACTED, empty=0.0, contacts_total=event_count("contact"))


@feature(family="loyalty", unit="points", over="row", needs=(*EARNED, *SPENT))
def points_balance(row: Row, _: FeatureClock) -> Floats:
    """Points earned minus points spent."""
    return np.asarray(row["points_earned"] - row["points_spent"])


@feature(family="loyalty", unit="points", over="events", needs=EARNED, empty=0.0)
def points_earned_90d(events: Events, clock: FeatureClock) -> Floats:
    """Points earned in the last 90 days."""
    return event_amount("points_earned", 90)(events, clock)


@feature(family="loyalty", unit="points", over="events", needs=SPENT, empty=0.0)
def points_spent_90d(events: Events, clock: FeatureClock) -> Floats:
    """Points spent in the last 90 days."""
    return event_amount("points_spent", 90)(events, clock)


@feature(family="loyalty", unit="days", over="events", needs=SPENT)
def last_points_spent_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last spending of points to the cutoff; null if there was none."""
    return last_event_days("points_spent")(events, clock)


features_over(
    "events",
    event_counts("contacts", "Contacts by campaigns, control groups left out,", "contact", [90]),
    family="loyalty",
    unit="contacts",
    needs=CONTACTED,
    empty=0.0,
    controlled=True,
)


@feature(family="loyalty", unit="days", over="events", needs=CONTACTED, controlled=True)
def last_contact_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last contact by a campaign to the cutoff; null if there was none."""
    return last_event_days("contact")(events, clock)


@feature(family="loyalty", unit="redemptions", over="events", needs=REDEEMED, empty=0.0)
def redemptions_total(events: Events, clock: FeatureClock) -> Floats:
    """Offers redeemed so far."""
    return event_count("redemption")(events, clock)


@feature(family="loyalty", unit="redemptions", over="events", needs=REDEEMED, empty=0.0)
def redemptions_90d(events: Events, clock: FeatureClock) -> Floats:
    """Offers redeemed in the last 90 days."""
    return event_count("redemption", 90)(events, clock)


@feature(
    family="loyalty", unit="redemptions per contact", over="row", needs=(*CONTACTED, *REDEEMED)
)
def redemption_rate(row: Row, _: FeatureClock) -> Floats:
    """Offers redeemed divided by contacts so far; null without a contact."""
    return ratio(row["redemptions_total"], row["contacts_total"])


@feature(family="loyalty", unit="days", over="events", needs=REDEEMED)
def last_redemption_days(events: Events, clock: FeatureClock) -> Floats:
    """Whole days from the last redemption to the cutoff; null if there was none."""
    return last_event_days("redemption")(events, clock)
