"""Purchase rhythm: gaps, how overdue the next purchase is, regularity, acceleration.

With g the gaps between purchase days, c the cutoff, N the tenure, n the number of purchase days.
"""

import math

import narwhals as nw

from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.expressions import bought, ratio, within

MINKA = "Minka (2002), Estimating a Gamma distribution; Platzer and Reutterer (2016)"
CLUMPS = "Zhang, Bradlow and Small (2013), New Measures of Clumpiness for Incidence Data"

SHRINKAGE_GAPS = 2.0
MOST_WINDOWS = 24
WINDOW_DECAY = 0.8
LARGEST_LOG_REGULARITY = 4.0
REGULARITY_SHRINKAGE_GAPS = 3.0


def _gap() -> nw.Expr:
    return nw.col("gap_days")


sums(
    gaps=lambda _: _gap().count(),
    gap_sum=lambda _: _gap().sum(),
    gap_square_sum=lambda _: (_gap() * _gap()).sum(),
    gap_log_sum=lambda _: _gap().log().sum(),
    gap_entropy_sum=lambda _: (_gap() * _gap().log()).sum(),
    gap_longest=lambda _: _gap().max(),
    second_last_age=lambda _: (nw.col("age_days") + _gap()).min(),
    active_windows=lambda clock: _first_in_window(clock).sum(),
    days_in_half_horizon=lambda clock: _days_within(clock.horizon_days / 2),
    days_in_two_horizons=lambda clock: _days_within(2 * clock.horizon_days),
    spend_in_two_horizons=lambda clock: _capped_within(2, clock),
    spend_in_four_horizons=lambda clock: _capped_within(4, clock),
)


def _capped_within(horizons: int, clock: FeatureClock) -> nw.Expr:
    return within(horizons * clock.horizon_days, nw.col("net_capped"), 0.0).sum()


def _days_within(days: float) -> nw.Expr:
    return bought(within(days, nw.lit(1), 0), otherwise=0).sum()


def _window(age_days: nw.Expr, clock: FeatureClock) -> nw.Expr:
    """Which window of half a horizon, counted back from the cutoff, an age falls into."""
    return ((age_days - 1) / clock.window_days).floor()


def _first_in_window(clock: FeatureClock) -> nw.Expr:
    """0.8 ^ w on the earliest purchase day of each window w, else 0: each window counts once."""
    here = _window(nw.col("age_days"), clock)
    before = _window(nw.col("age_days") + nw.col("gap_days"), clock)
    earliest = nw.col("gap_days").is_null() | (before != here)
    counts = nw.col("is_purchase") & earliest & (here < MOST_WINDOWS)
    return nw.when(counts).then((here * math.log(WINDOW_DECAY)).exp()).otherwise(nw.lit(0.0))


@feature(family="activity", unit="share", over="row")
def active_window_share(clock: FeatureClock) -> nw.Expr:
    """Share of windows of H/2 with a purchase, back to the first one, each weighted 0.8 of the next
    more recent one; at most 24 windows.
    """
    windows = _window(nw.col("tenure_days"), clock) + 1
    capped = nw.when(windows > MOST_WINDOWS).then(nw.lit(float(MOST_WINDOWS))).otherwise(windows)
    weight = (1 - (capped * math.log(WINDOW_DECAY)).exp()) / (1 - WINDOW_DECAY)
    return nw.col("active_windows") / weight


@feature(family="gaps", unit="days", over="row")
def expected_gap_days(_: FeatureClock) -> nw.Expr:
    """The customer's mean gap, shrunk towards the population's by two gaps."""
    shrunk = nw.col("gap_sum") + SHRINKAGE_GAPS * nw.col("population_gap_days")
    return shrunk / (nw.col("gaps") + SHRINKAGE_GAPS)


@feature(family="gaps", unit="days", over="row")
def mean_gap_days(_: FeatureClock) -> nw.Expr:
    """The mean gap; null with one purchase day."""
    return ratio(nw.col("gap_sum"), nw.col("gaps"))


@feature(family="gaps", unit="days", over="row")
def gap_deviation_days(_: FeatureClock) -> nw.Expr:
    """The standard deviation of the gaps (n - 1); the population's with fewer than three."""
    count = nw.col("gaps")
    spread = nw.col("gap_square_sum") - nw.col("gap_sum") * nw.col("gap_sum") / count
    positive = nw.when(spread > 0).then(spread).otherwise(nw.lit(0.0))
    own = nw.when(count >= 3).then((positive / (count - 1)).sqrt())
    return nw.coalesce(own, nw.col("population_gap_deviation_days"))


@feature(family="recency", unit="ratio", over="row")
def overdue_ratio(_: FeatureClock) -> nw.Expr:
    """Recency divided by the expected gap."""
    return ratio(nw.col("recency_days"), nw.col("expected_gap_days"))


@feature(family="recency", unit="deviations", over="row")
def overdue_z(_: FeatureClock) -> nw.Expr:
    """Recency minus the expected gap, divided by the standard deviation of the gaps plus a quarter
    of the population's mean gap.
    """
    late = nw.col("recency_days") - nw.col("expected_gap_days")
    return ratio(late, nw.col("gap_deviation_days") + nw.col("population_gap_days") / 4)


@feature(family="recency", unit="ratio", over="row")
def recency_over_longest_gap(_: FeatureClock) -> nw.Expr:
    """Recency divided by the longest gap so far; null with one purchase day."""
    return ratio(nw.col("recency_days"), nw.col("gap_longest"))


@feature(family="gaps", unit="share", over="row")
def last_purchase_position(_: FeatureClock) -> nw.Expr:
    """Position of the last purchase in the tenure: 0 at its start, 1 at the cutoff."""
    return ratio(nw.col("tenure_days") - nw.col("recency_days"), nw.col("tenure_days"))


@feature(family="gaps", unit="ratio", over="row")
def last_gap_over_mean(_: FeatureClock) -> nw.Expr:
    """The most recent gap divided by the mean gap; null with one purchase day."""
    return ratio(nw.col("second_last_age") - nw.col("recency_days"), nw.col("mean_gap_days"))


@feature(family="regularity", unit="ratio", over="row")
def gap_variation(_: FeatureClock) -> nw.Expr:
    """Standard deviation divided by mean of the gaps; null with fewer than three."""
    own = nw.when(nw.col("gaps") >= 3).then(nw.col("gap_deviation_days"))
    return own / nw.col("mean_gap_days")


@feature(family="regularity", unit="log shape", over="row", source=MINKA)
def log_regularity(_: FeatureClock) -> nw.Expr:
    """Log of the gamma shape of the gaps (closed approximation), at most 4, shrunk towards 0 by
    three gaps; null with fewer than three. Above 0 is more regular than chance.
    """
    gaps = nw.col("gaps")
    raw = nw.col("mean_gap_days").log() - nw.col("gap_log_sum") / gaps
    s = nw.when(raw > 1e-6).then(raw).otherwise(nw.lit(1e-6))
    shape = (3 - s + ((s - 3) * (s - 3) + 24 * s).sqrt()) / (12 * s)
    log_shape = shape.log()
    top = nw.lit(LARGEST_LOG_REGULARITY)
    capped = nw.when(log_shape > top).then(top).otherwise(log_shape)
    return nw.when(gaps >= 3).then(capped * gaps / (gaps + REGULARITY_SHRINKAGE_GAPS))


@feature(family="regularity", unit="share", over="row", source=CLUMPS)
def clumpiness(_: FeatureClock) -> nw.Expr:
    """1 + sum x ln x / ln n over the n intervals x as shares of the tenure: the gaps and the time
    since the last purchase. 0 is evenly spread, 1 is a single clump; null with fewer than three
    purchase days.
    """
    days = nw.col("purchase_days")
    tenure = nw.col("tenure_days")
    open_end = nw.col("recency_days") * nw.col("recency_days").log()
    entropy = (nw.col("gap_entropy_sum") + open_end) / tenure - tenure.log()
    return nw.when(days >= 3).then(_floored(1 + entropy / days.log()))


@feature(family="trend", unit="ratio", over="row")
def acceleration(clock: FeatureClock) -> nw.Expr:
    """Purchase days of the last H/2 divided by a third of those of the 1.5 H before, each plus a
    half; null with a tenure under 2 H.
    """
    late = nw.col("days_in_half_horizon") + 0.5
    early = (nw.col("days_in_two_horizons") - nw.col("days_in_half_horizon")) / 3 + 0.5
    return nw.when(nw.col("tenure_days") >= 2 * clock.horizon_days).then(late / early)


@feature(family="trend", unit="ratio", over="row")
def spend_trend(clock: FeatureClock) -> nw.Expr:
    """Net spend of the last 2 H divided by that of the 2 H before, days winsorised, each floored at
    zero and increased by the shop's average order; null with a tenure under 4 H.
    """
    order = nw.col("population_order_amount")
    late = _floored(nw.col("spend_in_two_horizons"))
    early = _floored(nw.col("spend_in_four_horizons") - nw.col("spend_in_two_horizons"))
    trend = ratio(late + order, early + order)
    return nw.when(nw.col("tenure_days") >= 4 * clock.horizon_days).then(trend)


def _floored(amount: nw.Expr) -> nw.Expr:
    return nw.when(amount > 0).then(amount).otherwise(nw.lit(0.0))
