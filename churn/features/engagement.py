"""Interest without a purchase: newsletters opened and clicked, visits, carts, unsubscriptions."""

import numpy as np

from churn.arrays import Floats
from churn.data.history.events import Events
from churn.features.catalogue import Family, feature, features_over, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import (
    Row,
    event_count,
    event_counts,
    last_event_days,
    ratio,
)

SENT = ("events.email_sent",)
OPENED = ("events.email_open",)
CLICKED = ("events.email_click",)
VISITED = ("events.visit",)
FILLED = ("events.cart",)
LEFT = ("events.unsubscribe",)

sums("events", needs=SENT, empty=0.0, emails_sent_180d=event_count("email_sent", 180))
sums("events", needs=OPENED, empty=0.0, email_opens_180d=event_count("email_open", 180))
sums(
    "events",
    needs=VISITED,
    empty=0.0,
    visits_in_half_horizon=lambda events, clock: events.count(
        events.of("visit", clock.horizon_days / 2)
    ),
    visits_in_two_horizons=lambda events, clock: events.count(
        events.of("visit", 2 * clock.horizon_days)
    ),
)


def _last(name: str, what: str, kind: str) -> Family:
    meaning = f"Whole days from the last {what} to the cutoff; null if there was none."
    return (name, meaning, last_event_days(kind))


features_over(
    "events",
    event_counts("emails_sent", "E-mails sent", "email_sent", (30, 90)),
    family="engagement",
    unit="e-mails",
    needs=SENT,
    empty=0.0,
    controlled=True,
)
features_over(
    "events",
    event_counts("email_opens", "E-mails opened", "email_open", (30, 90)),
    family="engagement",
    unit="opens",
    needs=OPENED,
    empty=0.0,
)
features_over(
    "events",
    event_counts("email_clicks", "Clicks in e-mails", "email_click", (30, 90)),
    family="engagement",
    unit="clicks",
    needs=CLICKED,
    empty=0.0,
)
features_over(
    "events",
    event_counts("visits", "Visits", "visit", (7, 30, 90)),
    family="engagement",
    unit="visits",
    needs=VISITED,
    empty=0.0,
)
features_over(
    "events",
    event_counts("carts", "Carts filled", "cart", (30, 90)),
    family="engagement",
    unit="carts",
    needs=FILLED,
    empty=0.0,
)
for _needs, _member in (
    (OPENED, _last("last_email_open_days", "opened e-mail", "email_open")),
    (CLICKED, _last("last_email_click_days", "click in an e-mail", "email_click")),
    (VISITED, _last("last_visit_days", "visit", "visit")),
    (FILLED, _last("last_cart_days", "filled cart", "cart")),
    (LEFT, _last("last_unsubscribe_days", "unsubscription", "unsubscribe")),
):
    features_over("events", [_member], family="engagement", unit="days", needs=_needs)


@feature(family="engagement", unit="unsubscriptions", over="events", needs=LEFT, empty=0.0)
def unsubscribes(events: Events, clock: FeatureClock) -> Floats:
    """Unsubscriptions so far."""
    return event_count("unsubscribe")(events, clock)


@feature(family="engagement", unit="opens per e-mail", over="row", needs=(*SENT, *OPENED))
def email_open_rate_90d(row: Row, _: FeatureClock) -> Floats:
    """Opens divided by e-mails sent in the last 90 days, above 1 if mails are reopened; null if
    none was sent.
    """
    return ratio(row["email_opens_90d"], row["emails_sent_90d"])


@feature(family="engagement", unit="clicks per e-mail", over="row", needs=(*SENT, *CLICKED))
def email_click_rate_90d(row: Row, _: FeatureClock) -> Floats:
    """Clicks divided by e-mails sent in the last 90 days; null if none was sent."""
    return ratio(row["email_clicks_90d"], row["emails_sent_90d"])


@feature(
    family="engagement",
    unit="ratio",
    over="row",
    needs=(*SENT, *OPENED),
)
def email_open_rate_trend(row: Row, _: FeatureClock) -> Floats:
    """The open rate of the last 90 days divided by that of the 90 days before, with a half added to
    opens and to e-mails; null if none was sent in either period.
    """
    sent, opened = row["emails_sent_90d"], row["email_opens_90d"]
    sent_before = row["emails_sent_180d"] - sent
    opened_before = row["email_opens_180d"] - opened
    late = (opened + 0.5) / (sent + 0.5)
    early = (opened_before + 0.5) / (sent_before + 0.5)
    return np.where((sent > 0) & (sent_before > 0), late / early, np.nan)


@feature(family="engagement", unit="ratio", over="row", needs=VISITED)
def visit_trend(row: Row, clock: FeatureClock) -> Floats:
    """Visits of the last H/2 divided by a third of those of the 1.5 H before, each plus a half;
    null with a tenure under 2 H.
    """
    late = row["visits_in_half_horizon"] + 0.5
    early = (row["visits_in_two_horizons"] - row["visits_in_half_horizon"]) / 3 + 0.5
    return np.where(row["tenure_days"] >= 2 * clock.horizon_days, late / early, np.nan)


@feature(family="engagement", unit="purchase days per cart", over="row", needs=FILLED)
def purchase_days_per_cart_90d(row: Row, _: FeatureClock) -> Floats:
    """Purchase days divided by filled carts in the last 90 days: below 1, carts are abandoned; null
    without a cart.
    """
    return ratio(row["purchase_days_90d"], row["carts_90d"])
