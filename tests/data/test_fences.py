"""How much one order counts for: the fence of the log-normal, and orders far beyond it."""

from datetime import UTC, datetime, timedelta
from math import exp, log

import numpy as np
import pytest

from churn.data.engines.choice import open_engine
from churn.data.fences import log_normal_fence, moments, order_fence
from churn.data.tables import Tables

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
USUAL = [10.0 + number % 30 for number in range(400)]


def orders(*amounts: float) -> list[dict]:
    return [
        {"customer_id": f"c{n}", "ordered_at": BEGIN + timedelta(minutes=n), "amount": amount}
        for n, amount in enumerate(amounts)
    ]


def test_the_fence_is_three_deviations_above_the_mean_of_the_logarithms(open_shop):
    """Returns and free orders say nothing."""
    logs = [log(20.0), log(30.0), log(80.0)]
    wanted = exp(np.mean(logs) + 3 * np.std(logs))
    tables = open_shop(orders(20.0, 30.0, 80.0, -500.0, 0.0))
    assert order_fence(tables.engine) == pytest.approx(wanted, rel=1e-8)


def test_nothing_has_no_fence(open_shop):
    assert log_normal_fence(0, 0.0, 0.0) is None
    assert moments(0, 0.0, 0.0) == (None, None)
    tables = open_shop(orders(-5.0))
    assert order_fence(tables.engine) is None
    assert tables.audits["orders"].warnings == ()


@pytest.mark.parametrize("least", [1.1853479334966697e-298, 1e-307])
def test_a_minute_amount_makes_no_fence_infinite(open_shop, least):
    tables = open_shop(orders(72_988.0, least))
    assert order_fence(tables.engine) == pytest.approx(exp(700), rel=0.5)
    assert tables.audits["orders"].warnings == ()


def test_an_order_far_beyond_the_fence_is_a_warning_of_the_table(open_shop):
    (warning,) = open_shop(orders(*USUAL, 77_183.6)).audits["orders"].warnings
    assert warning.startswith("1 order is more than 10 times larger than ")
    assert "Check for typing errors" in warning
    assert "77,183" not in warning


def test_a_giant_return_is_one_as_well_and_they_are_counted(open_shop):
    (warning,) = open_shop(orders(*USUAL, 77_183.6, -77_183.6)).audits["orders"].warnings
    assert warning.startswith("2 orders are more than 10 times larger than ")


def test_a_wholesaler_with_a_tail_of_large_orders_is_not_warned_of(open_shop):
    amounts = np.exp(np.random.default_rng(3).normal(4, 1.2, size=2_000)).round(2).tolist()
    assert open_shop(orders(*amounts)).audits["orders"].warnings == ()


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_the_fence_is_the_same_on_every_engine_and_number_of_threads(engine, as_table):
    open_engine(engine).close()
    amounts = np.random.default_rng(5).lognormal(3, 1, size=5_000)
    rows = as_table(orders(*amounts), ["customer_id", "ordered_at", "amount"])
    tables = Tables.from_frames(rows, engine=engine)
    millionths = np.round(amounts, 6)
    logs = np.log(millionths)
    assert order_fence(tables.engine) == float(f"{exp(logs.mean() + 3 * logs.std()):.9g}")
