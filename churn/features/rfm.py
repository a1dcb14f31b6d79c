"""Recency, frequency and monetary value, some of them with exponential decay."""

import narwhals as nw

from churn.features.catalogue import Family, feature, features_over, sums
from churn.features.clock import WINDOWS_DAYS, FeatureClock
from churn.features.expressions import bought, decay, ratio, within

sums(
    spend_total=lambda _: nw.col("spend").sum(),
    spend_capped_total=lambda _: nw.col("spend_capped").sum(),
    last_spend=lambda _: nw.col("spend_change").sum(),
)


@feature(family="recency", unit="days", over="days")
def recency_days(_: FeatureClock) -> nw.Expr:
    """Whole days from the last purchase day to the cutoff."""
    return bought(nw.col("age_days")).min()


@feature(family="frequency", unit="days", over="days")
def purchase_days(_: FeatureClock) -> nw.Expr:
    """Distinct days with a purchase."""
    return bought(nw.lit(1), otherwise=0).sum()


@feature(family="frequency", unit="orders", over="days")
def orders_count(_: FeatureClock) -> nw.Expr:
    """Orders with an amount above zero."""
    return nw.col("orders").sum()


@feature(family="tenure", unit="days", over="days")
def tenure_days(_: FeatureClock) -> nw.Expr:
    """Whole days from the first purchase day to the cutoff."""
    return bought(nw.col("age_days")).max()


@feature(family="money", unit="currency", over="days")
def net_spend(_: FeatureClock) -> nw.Expr:
    """All purchases minus all returns."""
    return nw.col("net").sum()


@feature(family="money", unit="currency per purchase day", over="row")
def average_basket(_: FeatureClock) -> nw.Expr:
    """Net spend divided by distinct purchase days."""
    return ratio(nw.col("net_spend"), nw.col("purchase_days"))


@feature(family="money", unit="ratio", over="row")
def last_basket_over_average(_: FeatureClock) -> nw.Expr:
    """Purchases of the last purchase day divided by those of the average purchase day."""
    return ratio(nw.col("last_spend") * nw.col("purchase_days"), nw.col("spend_total"))


@feature(family="money", unit="currency per purchase day", over="row")
def typical_basket(_: FeatureClock) -> nw.Expr:
    """Purchases of the average purchase day, each day winsorised against wholesale orders."""
    return ratio(nw.col("spend_capped_total"), nw.col("purchase_days"))


@feature(family="money", unit="currency", over="days")
def net_spend_three_horizons(clock: FeatureClock) -> nw.Expr:
    """Net spend in the last three horizons: the reference for a decline."""
    return within(3 * clock.horizon_days, nw.col("net"), 0.0).sum()


def _half_lives(clock: FeatureClock) -> dict[str, float]:
    horizon = clock.horizon_days
    return {"short": horizon / 2, "medium": 1.5 * horizon, "long": 4.0 * horizon}


def _decayed_days(speed: str, halves: str) -> Family:
    return (
        f"decayed_days_{speed}",
        f"Purchase days, each halved for every {halves} of its age.",
        lambda clock: bought(decay(_half_lives(clock)[speed]), otherwise=0.0).sum(),
    )


def _decayed_spend(speed: str, halves: str) -> Family:
    return (
        f"decayed_spend_{speed}",
        f"Net spend of each day, winsorised, halved for every {halves} of its age.",
        lambda clock: (nw.col("net_capped") * decay(_half_lives(clock)[speed])).sum(),
    )


def _days_in_window(days: int) -> Family:
    return (
        f"purchase_days_{days}d",
        f"Distinct purchase days in the last {days} days.",
        lambda _: bought(within(days, nw.lit(1), 0), otherwise=0).sum(),
    )


def _spend_in_window(days: int) -> Family:
    return (
        f"net_spend_{days}d",
        f"Net spend in the last {days} days.",
        lambda _: within(days, nw.col("net"), 0.0).sum(),
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
    "days", (_days_in_window(days) for days in WINDOWS_DAYS), family="frequency", unit="days"
)
features_over(
    "days", (_spend_in_window(days) for days in WINDOWS_DAYS), family="money", unit="currency"
)
