"""When customers buy: on which days of the week, and whether in the same season last year."""

import numpy as np

from churn.arrays import Floats
from churn.data.history.days import Days
from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, ratio

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
YEAR_DAYS = 364  # 52 weeks: the same day of the week


def _on_weekday(days: Days, number: int) -> Floats:
    return days.count(days.bought & (days.weekday == number))


def _last_year(days: Days, clock: FeatureClock) -> Floats:
    season = (days.age_days > YEAR_DAYS - clock.horizon_days) & days.within(YEAR_DAYS)
    return days.count(days.bought & season)


def _purchases(row: Row) -> list[Floats]:
    return [row[f"{name}_purchases"] for name in WEEKDAYS]


sums(
    last_year_purchases=_last_year,
    monday_purchases=lambda days, _: _on_weekday(days, 0),
    tuesday_purchases=lambda days, _: _on_weekday(days, 1),
    wednesday_purchases=lambda days, _: _on_weekday(days, 2),
    thursday_purchases=lambda days, _: _on_weekday(days, 3),
    friday_purchases=lambda days, _: _on_weekday(days, 4),
    saturday_purchases=lambda days, _: _on_weekday(days, 5),
    sunday_purchases=lambda days, _: _on_weekday(days, 6),
)


@feature(family="habits", unit="share", over="row")
def weekend_share(row: Row, _: FeatureClock) -> Floats:
    """Share of the purchase days that are a Saturday or a Sunday."""
    saturdays, sundays = _purchases(row)[5:]
    return ratio(saturdays + sundays, row["purchase_days"])


@feature(family="habits", unit="share", over="row")
def main_weekday_share(row: Row, _: FeatureClock) -> Floats:
    """Share of the purchase days that fall on the customer's most common day of the week."""
    return ratio(np.maximum.reduce(_purchases(row)), row["purchase_days"])


@feature(family="habits", unit="nats", over="row")
def weekday_entropy(row: Row, _: FeatureClock) -> Floats:
    """Entropy -sum p ln p of the weekdays of purchase days: 0 is always the same weekday, ln 7 =
    1.95 is a uniform spread.
    """
    shares = [ratio(some, row["purchase_days"]) for some in _purchases(row)]
    terms = [np.where(share > 0, share * np.log(1 / share), 0.0) for share in shares]
    return np.where(row["purchase_days"] > 0, np.add.reduce(terms), np.nan)


@feature(family="habits", unit="days", over="row")
def purchase_days_same_season(row: Row, _: FeatureClock) -> Floats:
    """Purchase days in the H that follow the cutoff's day 52 weeks earlier: last year's activity in
    this season; null with a tenure under 364 days.
    """
    return np.where(row["tenure_days"] >= YEAR_DAYS, row["last_year_purchases"], np.nan)
