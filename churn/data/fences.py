"""The upper fence of a log-normal: caps what a single order, or a single day, contributes."""

from __future__ import annotations

from math import exp, sqrt

from churn.data.engines.base import Engine

FENCE_DEVIATIONS = 3.0
FAR_BEYOND = 10.0
ROUNDING = 1e-12  # a variance below this share of the mean square is rounding error
DIGITS = 9
LARGEST_LOG = 700.0  # exp of little more is infinite, and no amount comes near it


def log_normal_fence(count: float, log_sum: float, log_squares: float) -> float | None:
    """exp(mean + 3 standard deviations) of logarithms, from two sums of them; None without any."""
    mean, deviation = moments(count, log_sum, log_squares)
    if mean is None:
        return None
    return steady(exp(min(mean + FENCE_DEVIATIONS * (deviation or 0.0), LARGEST_LOG)))


def steady(value: float) -> float:
    """The number rounded to nine digits: floating-point sums vary with the order in which threads
    add, and the same data must give the same model to the byte.

    >>> steady(27.065799310470037) == steady(27.06579931047003)
    True
    """
    return float(f"{value:.{DIGITS}g}")


def moments(count: float, total: float, squares: float) -> tuple[float | None, float | None]:
    """Mean and standard deviation (divided by n); None if count is 0."""
    if not count:
        return None, None
    mean, mean_square = total / count, squares / count
    variance = mean_square - mean * mean
    return mean, sqrt(variance) if variance > ROUNDING * mean_square else 0.0


def order_fence(engine: Engine) -> float | None:
    """The fence for a single order, from the amounts of all purchases; None if there are none."""
    row = engine.rows(
        "SELECT count(*) AS n, sum(ln(amount)) AS logs, sum(ln(amount) * ln(amount)) AS squares "
        "FROM orders WHERE amount > 0"
    )[0]
    count, logs, squares = (float(str(row[name] or 0)) for name in ("n", "logs", "squares"))
    return log_normal_fence(count, logs, squares)


def far_orders_warning(engine: Engine) -> tuple[str, ...]:
    """A warning about amounts more than ten times the fence, returns included."""
    fence = order_fence(engine)
    if fence is None:
        return ()
    row = engine.rows(
        "SELECT count(*) AS n, max(abs(amount)) AS most FROM orders "
        f"WHERE abs(amount) > {FAR_BEYOND * fence!r}"
    )[0]
    count = int(str(row["n"]))
    if not count:
        return ()
    times = float(str(row["most"])) / fence
    orders = "1 order is" if count == 1 else f"{count:,} orders are"
    return (
        f"{orders} more than {FAR_BEYOND:.0f} times larger than {fence:,.2f}, the cap on a "
        f"single order in features and training; the largest is "
        f"{times:,.0f} times that. Check for typing errors. Sums of money are not capped",
    )
