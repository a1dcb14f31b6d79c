"""Purchase rhythm: gaps, how overdue the next purchase is, regularity, acceleration.

With g the gaps between purchase days, c the cutoff, N the tenure, n the number of purchase days.
"""

import math
from typing import Any

import numpy as np

from churn.arrays import Floats
from churn.data.history.days import Days
from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, floored, ratio

MINKA = "Minka (2002), Estimating a Gamma distribution; Platzer and Reutterer (2016)"
CLUMPS = "Zhang, Bradlow and Small (2013), New Measures of Clumpiness for Incidence Data"

SHRINKAGE_GAPS = 2.0
MOST_WINDOWS = 24
WINDOW_DECAY = 0.8
LARGEST_LOG_REGULARITY = 4.0
REGULARITY_SHRINKAGE_GAPS = 3.0


def _active_windows(days: Days, clock: FeatureClock) -> Floats:
    """0.8 ^ w on the earliest purchase day of each window w: each window counts once."""
    here = _window(days.age_days, clock)
    before = _window(days.age_days + days.gap_days, clock)
    counts = days.bought & (~days.has_gap | (before != here)) & (here < MOST_WINDOWS)
    return days.total(np.exp(here * math.log(WINDOW_DECAY)), counts)


def _window(age_days: Any, clock: FeatureClock) -> Any:
    """Which window of half a horizon, counted back from the cutoff, an age falls into."""
    return np.floor((age_days - 1) / clock.window_days)


def _days_within(days: Days, window: float) -> Floats:
    return days.count(days.bought & days.within(window))


def _gap_sum(days: Days, values: Floats) -> Floats:
    return days.total(values, days.has_gap)


def _capped_within(days: Days, window: float) -> Floats:
    return days.total(days.net_capped, days.within(window))


sums(
    gaps=lambda days, _: days.count(days.has_gap),
    gap_sum=lambda days, _: _gap_sum(days, days.gap_days),
    gap_square_sum=lambda days, _: _gap_sum(days, days.gap_days * days.gap_days),
    gap_log_sum=lambda days, _: _gap_sum(days, np.log(days.gap_days)),
    gap_entropy_sum=lambda days, _: _gap_sum(days, days.gap_days * np.log(days.gap_days)),
    gap_longest=lambda days, _: days.most(days.gap_days, days.has_gap),
    second_last_age=lambda days, _: days.least(days.age_days + days.gap_days, days.has_gap),
    active_windows=_active_windows,
    days_in_half_horizon=lambda days, clock: _days_within(days, clock.horizon_days / 2),
    days_in_two_horizons=lambda days, clock: _days_within(days, 2 * clock.horizon_days),
    spend_in_two_horizons=lambda days, clock: _capped_within(days, 2 * clock.horizon_days),
    spend_in_four_horizons=lambda days, clock: _capped_within(days, 4 * clock.horizon_days),
)


@feature(family="activity", unit="share", over="row")
def active_window_share(row: Row, clock: FeatureClock) -> Floats:
    """Share of windows of H/2 with a purchase, back to the first one, each weighted 0.8 of the next
    more recent one; at most 24 windows.
    """
    windows = np.minimum(_window(row["tenure_days"], clock) + 1, MOST_WINDOWS)
    weight = (1 - np.exp(windows * math.log(WINDOW_DECAY))) / (1 - WINDOW_DECAY)
    return np.asarray(row["active_windows"] / weight)


@feature(family="gaps", unit="days", over="row")
def expected_gap_days(row: Row, _: FeatureClock) -> Floats:
    """The customer's mean gap, shrunk towards the population's by two gaps."""
    shrunk = row["gap_sum"] + SHRINKAGE_GAPS * row["population_gap_days"]
    return np.asarray(shrunk / (row["gaps"] + SHRINKAGE_GAPS))


@feature(family="gaps", unit="days", over="row")
def mean_gap_days(row: Row, _: FeatureClock) -> Floats:
    """The mean gap; null with one purchase day."""
    return ratio(row["gap_sum"], row["gaps"])


@feature(family="gaps", unit="days", over="row")
def gap_deviation_days(row: Row, _: FeatureClock) -> Floats:
    """The standard deviation of the gaps (n - 1); the population's with fewer than three."""
    count = row["gaps"]
    spread = floored(row["gap_square_sum"] - row["gap_sum"] * row["gap_sum"] / count)
    own = np.sqrt(spread / (count - 1))
    return np.asarray(np.where(count >= 3, own, row["population_gap_deviation_days"]))


@feature(family="recency", unit="ratio", over="row")
def overdue_ratio(row: Row, _: FeatureClock) -> Floats:
    """Recency divided by the expected gap."""
    return ratio(row["recency_days"], row["expected_gap_days"])


@feature(family="recency", unit="deviations", over="row")
def overdue_z(row: Row, _: FeatureClock) -> Floats:
    """Recency minus the expected gap, divided by the standard deviation of the gaps plus a quarter
    of the population's mean gap.
    """
    late = row["recency_days"] - row["expected_gap_days"]
    return ratio(late, row["gap_deviation_days"] + row["population_gap_days"] / 4)


@feature(family="recency", unit="ratio", over="row")
def recency_over_longest_gap(row: Row, _: FeatureClock) -> Floats:
    """Recency divided by the longest gap so far; null with one purchase day."""
    return ratio(row["recency_days"], row["gap_longest"])


@feature(family="gaps", unit="share", over="row")
def last_purchase_position(row: Row, _: FeatureClock) -> Floats:
    """Position of the last purchase in the tenure: 0 at its start, 1 at the cutoff."""
    return ratio(row["tenure_days"] - row["recency_days"], row["tenure_days"])


@feature(family="gaps", unit="ratio", over="row")
def last_gap_over_mean(row: Row, _: FeatureClock) -> Floats:
    """The most recent gap divided by the mean gap; null with one purchase day."""
    return ratio(row["second_last_age"] - row["recency_days"], row["mean_gap_days"])


@feature(family="regularity", unit="ratio", over="row")
def gap_variation(row: Row, _: FeatureClock) -> Floats:
    """Standard deviation divided by mean of the gaps; null with fewer than three."""
    variation = row["gap_deviation_days"] / row["mean_gap_days"]
    return np.where(row["gaps"] >= 3, variation, np.nan)


@feature(family="regularity", unit="log shape", over="row", source=MINKA)
def log_regularity(row: Row, _: FeatureClock) -> Floats:
    """Log of the gamma shape of the gaps (closed approximation), at most 4, shrunk towards 0 by
    three gaps; null with fewer than three. Above 0 is more regular than chance.
    """
    gaps = row["gaps"]
    s = np.fmax(np.log(row["mean_gap_days"]) - row["gap_log_sum"] / gaps, 1e-6)
    shape = (3 - s + np.sqrt((s - 3) * (s - 3) + 24 * s)) / (12 * s)
    capped = np.minimum(np.log(shape), LARGEST_LOG_REGULARITY)
    return np.where(gaps >= 3, capped * gaps / (gaps + REGULARITY_SHRINKAGE_GAPS), np.nan)


@feature(family="regularity", unit="share", over="row", source=CLUMPS)
def clumpiness(row: Row, _: FeatureClock) -> Floats:
    """1 + sum x ln x / ln n over the n intervals x as shares of the tenure: the gaps and the time
    since the last purchase. 0 is evenly spread, 1 is a single clump; null with fewer than three
    purchase days.
    """
    tenure = row["tenure_days"]
    open_end = row["recency_days"] * np.log(row["recency_days"])
    entropy = (row["gap_entropy_sum"] + open_end) / tenure - np.log(tenure)
    clumped = floored(1 + entropy / np.log(row["purchase_days"]))
    return np.where(row["purchase_days"] >= 3, clumped, np.nan)


@feature(family="trend", unit="ratio", over="row")
def acceleration(row: Row, clock: FeatureClock) -> Floats:
    """Purchase days of the last H/2 divided by a third of those of the 1.5 H before, each plus a
    half; null with a tenure under 2 H.
    """
    late = row["days_in_half_horizon"] + 0.5
    early = (row["days_in_two_horizons"] - row["days_in_half_horizon"]) / 3 + 0.5
    return np.where(row["tenure_days"] >= 2 * clock.horizon_days, late / early, np.nan)


@feature(family="trend", unit="ratio", over="row")
def spend_trend(row: Row, clock: FeatureClock) -> Floats:
    """Net spend of the last 2 H divided by that of the 2 H before, days winsorised, each floored at
    zero and increased by the shop's average order; null with a tenure under 4 H.
    """
    order = row["population_order_amount"]
    late = floored(row["spend_in_two_horizons"])
    early = floored(row["spend_in_four_horizons"] - row["spend_in_two_horizons"])
    trend = ratio(late + order, early + order)
    return np.where(row["tenure_days"] >= 4 * clock.horizon_days, trend, np.nan)
