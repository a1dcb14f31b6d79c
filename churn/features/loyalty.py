"""Points held, earned and spent; campaign contacts received, and coupons redeemed."""

import narwhals as nw

from churn.features.catalogue import feature, features_over, sums
from churn.features.clock import FeatureClock
from churn.features.event_aggregates import amounts, counts, counts_in_windows, last_days
from churn.features.expressions import ratio

EARNED = ("events.points_earned", "events.value")
SPENT = ("events.points_spent", "events.value")
CONTACTED = ("contacts",)
REDEEMED = ("redemptions",)

sums("events", needs=EARNED, empty=0.0, points_earned=amounts("points_earned"))
sums("events", needs=SPENT, empty=0.0, points_spent=amounts("points_spent"))
sums("events", needs=CONTACTED, empty=0.0, contacts_total=counts("contact"))


@feature(family="loyalty", unit="points", over="row", needs=(*EARNED, *SPENT))
def points_balance(_: FeatureClock) -> nw.Expr:
    """Points earned minus points spent."""
    return nw.col("points_earned") - nw.col("points_spent")


@feature(family="loyalty", unit="points", over="events", needs=EARNED, empty=0.0)
def points_earned_90d(clock: FeatureClock) -> nw.Expr:
    """Points earned in the last 90 days."""
    return amounts("points_earned", 90)(clock)


@feature(family="loyalty", unit="points", over="events", needs=SPENT, empty=0.0)
def points_spent_90d(clock: FeatureClock) -> nw.Expr:
    """Points spent in the last 90 days."""
    return amounts("points_spent", 90)(clock)


@feature(family="loyalty", unit="days", over="events", needs=SPENT)
def last_points_spent_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last spending of points to the cutoff; null if there was none."""
    return last_days("points_spent")(clock)


features_over(
    "events",
    counts_in_windows(
        "contacts", "Contacts by campaigns, control groups left out,", "contact", [90]
    ),
    family="loyalty",
    unit="contacts",
    needs=CONTACTED,
    empty=0.0,
    controlled=True,
)


@feature(family="loyalty", unit="days", over="events", needs=CONTACTED, controlled=True)
def last_contact_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last contact by a campaign to the cutoff; null if there was none."""
    return last_days("contact")(clock)


@feature(family="loyalty", unit="redemptions", over="events", needs=REDEEMED, empty=0.0)
def redemptions_total(clock: FeatureClock) -> nw.Expr:
    """Offers redeemed so far."""
    return counts("redemption")(clock)


@feature(family="loyalty", unit="redemptions", over="events", needs=REDEEMED, empty=0.0)
def redemptions_90d(clock: FeatureClock) -> nw.Expr:
    """Offers redeemed in the last 90 days."""
    return counts("redemption", 90)(clock)


@feature(
    family="loyalty", unit="redemptions per contact", over="row", needs=(*CONTACTED, *REDEEMED)
)
def redemption_rate(_: FeatureClock) -> nw.Expr:
    """Offers redeemed divided by contacts so far; null without a contact."""
    return ratio(nw.col("redemptions_total"), nw.col("contacts_total"))


@feature(family="loyalty", unit="days", over="events", needs=REDEEMED)
def last_redemption_days(clock: FeatureClock) -> nw.Expr:
    """Whole days from the last redemption to the cutoff; null if there was none."""
    return last_days("redemption")(clock)
