"""When customers buy: on which days of the week, and whether in the same season last year."""

import functools
import operator

import narwhals as nw

from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.expressions import bought, ratio

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Day 0 is a Thursday, number 3; whole weeks are added to keep earlier days above zero.
MONDAY_FIRST = 3 + 7 * 10_000
YEAR_DAYS = 364  # 52 weeks: the same day of the week


def _on_weekday(number: int) -> nw.Expr:
    weekday = (nw.col("local_day") + MONDAY_FIRST) % 7
    here = nw.when(weekday == number).then(nw.lit(1)).otherwise(nw.lit(0))
    return bought(here, otherwise=0).sum()


def _last_year(clock: FeatureClock) -> nw.Expr:
    age = nw.col("age_days")
    season = (age > YEAR_DAYS - clock.horizon_days) & (age <= YEAR_DAYS)
    return bought(nw.when(season).then(nw.lit(1)).otherwise(nw.lit(0)), otherwise=0).sum()


def _purchases() -> list[nw.Expr]:
    return [nw.col(f"{name}_purchases") for name in WEEKDAYS]


sums(
    last_year_purchases=_last_year,
    monday_purchases=lambda _: _on_weekday(0),
    tuesday_purchases=lambda _: _on_weekday(1),
    wednesday_purchases=lambda _: _on_weekday(2),
    thursday_purchases=lambda _: _on_weekday(3),
    friday_purchases=lambda _: _on_weekday(4),
    saturday_purchases=lambda _: _on_weekday(5),
    sunday_purchases=lambda _: _on_weekday(6),
)


@feature(family="habits", unit="share", over="row")
def weekend_share(_: FeatureClock) -> nw.Expr:
    """Share of the purchase days that are a Saturday or a Sunday."""
    saturdays, sundays = _purchases()[5:]
    return ratio(saturdays + sundays, nw.col("purchase_days"))


@feature(family="habits", unit="share", over="row")
def main_weekday_share(_: FeatureClock) -> nw.Expr:
    """Share of the purchase days that fall on the customer's most common day of the week."""
    return ratio(nw.max_horizontal(*_purchases()), nw.col("purchase_days"))


@feature(family="habits", unit="nats", over="row")
def weekday_entropy(_: FeatureClock) -> nw.Expr:
    """Entropy -sum p ln p of the weekdays of purchase days: 0 is always the same weekday, ln 7 =
    1.95 is a uniform spread.
    """
    entropy = functools.reduce(operator.add, map(_entropy_term, _purchases()))
    return nw.when(nw.col("purchase_days") > 0).then(entropy)


@feature(family="habits", unit="days", over="row")
def purchase_days_same_season(clock: FeatureClock) -> nw.Expr:
    """Purchase days in the H that follow the cutoff's day 52 weeks earlier: last year's activity in
    this season; null with a tenure under 364 days.
    """
    return nw.when(nw.col("tenure_days") >= YEAR_DAYS).then(nw.col("last_year_purchases"))


def _entropy_term(purchases: nw.Expr) -> nw.Expr:
    some = nw.when(purchases > 0)
    share = some.then(purchases / nw.col("purchase_days")).otherwise(nw.lit(1.0))
    return share * (1 / share).log()
