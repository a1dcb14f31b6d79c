"""Recency, frequency and monetary value, some of them with exponential decay."""

from churn.arrays import Floats
from churn.data.history.days import Days
from churn.features.catalogue import Family, feature, features_over, sums
from churn.features.clock import WINDOWS_DAYS, FeatureClock
from churn.features.formulas import Row, decay, ratio

sums(
    spend_total=lambda days, _: days.total(days.spend),
    spend_capped_total=lambda days, _: days.total(days.spend_capped),
    last_spend=lambda days, _: days.last(days.spend, days.bought),
)


@feature(family="recency", unit="days", over="days")
def recency_days(days: Days, _: FeatureClock) -> Floats:
    """Whole days from the last purchase day to the cutoff."""
    return days.least(days.age_days, days.bought)


@feature(family="frequency", unit="days", over="days")
def purchase_days(days: Days, _: FeatureClock) -> Floats:
    """Distinct days with a purchase."""
    return days.count(days.bought)


@feature(family="frequency", unit="orders", over="days")
def orders_count(days: Days, _: FeatureClock) -> Floats:
    """Orders with an amount above zero."""
    return days.total(days.orders)


@feature(family="tenure", unit="days", over="days")
def tenure_days(days: Days, _: FeatureClock) -> Floats:
    """Whole days from the first purchase day to the cutoff."""
    return days.most(days.age_days, days.bought)


@feature(family="money", unit="currency", over="days")
def net_spend(days: Days, _: FeatureClock) -> Floats:
    """All purchases minus all returns."""
    return days.total(days.net)


@feature(family="money", unit="currency per purchase day", over="row")
def average_basket(row: Row, _: FeatureClock) -> Floats:
    """Net spend divided by distinct purchase days."""
    return ratio(row["net_spend"], row["purchase_days"])


@feature(family="money", unit="ratio", over="row")
def last_basket_over_average(row: Row, _: FeatureClock) -> Floats:
    """Purchases of the last purchase day divided by those of the average purchase day."""
    return ratio(row["last_spend"] * row["purchase_days"], row["spend_total"])


@feature(family="money", unit="currency per purchase day", over="row")
def typical_basket(row: Row, _: FeatureClock) -> Floats:
    """Purchases of the average purchase day, each day winsorised against wholesale orders."""
    return ratio(row["spend_capped_total"], row["purchase_days"])


@feature(family="money", unit="currency", over="days")
def net_spend_three_horizons(days: Days, clock: FeatureClock) -> Floats:
    """Net spend in the last three horizons: the reference for a decline."""
    return days.total(days.net, days.within(3 * clock.horizon_days))


def _half_lives(clock: FeatureClock) -> dict[str, float]:
    horizon = clock.horizon_days
    return {"short": horizon / 2, "medium": 1.5 * horizon, "long": 4.0 * horizon}


def _decayed_days(speed: str, halves: str) -> Family:
    return (
        f"decayed_days_{speed}",
        f"Purchase days, each halved for every {halves} of its age.",
        lambda days, clock: days.total(decay(days, _half_lives(clock)[speed]), days.bought),
    )


def _decayed_spend(speed: str, halves: str) -> Family:
    return (
        f"decayed_spend_{speed}",
        f"Net spend of each day, winsorised, halved for every {halves} of its age.",
        lambda days, clock: days.total(days.net_capped * decay(days, _half_lives(clock)[speed])),
    )


def _days_in_window(window: int) -> Family:
    return (
        f"purchase_days_{window}d",
        f"Distinct purchase days in the last {window} days.",
        lambda days, _: days.count(days.bought & days.within(window)),
    )


def _spend_in_window(window: int) -> Family:
    return (
        f"net_spend_{window}d",
        f"Net spend in the last {window} days.",
        lambda days, _: days.total(days.net, days.within(window)),
    )


SPEEDS = {"short": "H/2", "medium": "1.5 H", "long": "4 H"}

features_over(
    "days",
    (_decayed_days(*speed) for speed in SPEEDS.items()),
    family="frequency",
    unit="decayed days",
)
features_over(
    "days",
    (_decayed_spend(*speed) for speed in SPEEDS.items()),
    family="money",
    unit="decayed currency",
)
features_over(
    "days", (_days_in_window(window) for window in WINDOWS_DAYS), family="frequency", unit="days"
)
features_over(
    "days", (_spend_in_window(window) for window in WINDOWS_DAYS), family="money", unit="currency"
)
