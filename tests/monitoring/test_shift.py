"""Shift: A and its interval; silent if nothing moved, and found if recency grew by a fifth."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from churn.monitoring.shift import LEAST_ROWS, probability_larger, shifts

COLUMNS = 40


def night(seed, rows):
    """Columns as features are: skewed, tied, sparse, missing."""
    rng = np.random.default_rng(seed)
    recency = rng.exponential(30, rows).round()
    sparse = np.where(rng.random(rows) < 0.97, 0.0, rng.poisson(2, rows))
    missing = np.where(rng.random(rows) < 0.3, np.nan, rng.lognormal(3, 1, rows))
    made = {"recency_days": recency, "sparse": sparse, "missing": missing}
    return made | {f"x{n}": rng.poisson(n / 4, rows).astype(float) for n in range(COLUMNS - 3)}


def test_it_is_the_statistic_of_mann_and_whitney():
    rng = np.random.default_rng(1)
    new, old = rng.poisson(3, 400).astype(float), rng.poisson(2.5, 300).astype(float)
    larger, error = probability_larger(new, old)
    assert larger == pytest.approx(mannwhitneyu(new, old).statistic / (400 * 300))
    draws = [probability_larger(rng.choice(new, 400), rng.choice(old, 300))[0] for _ in range(300)]
    assert error == pytest.approx(np.std(draws), rel=0.15)


@pytest.mark.parametrize("rows", [LEAST_ROWS + 500, 20_000])
def test_nothing_is_found_where_nothing_moved(rows):
    runs = range(30)
    found = [shifts(night(2 * run, rows), night(2 * run + 1, rows)) for run in runs]
    alarmed = [any(one.state == "alarm" for one in run) for run in found]
    assert sum(alarmed) <= 1


def test_a_fifth_more_recency_is_found_from_ten_thousand_customers_on():
    for run in range(10):
        new, old = night(2 * run, 10_000), night(2 * run + 1, 10_000)
        new["recency_days"] = 1.2 * new["recency_days"]
        states = {one.name: one.state for one in shifts(new, old)}
        assert states["recency_days"] == "alarm"
        assert set(states.values()) <= {"alarm", "ok"}


def test_under_a_thousand_known_values_is_too_few_to_say():
    new, old = night(1, LEAST_ROWS), night(2, LEAST_ROWS)
    new["recency_days"] = 10 * new["recency_days"]
    states = {one.name: one.state for one in shifts(new, old)}
    assert states["recency_days"] == "alarm"
    assert states["missing"] == "too few"
    fewer = {name: values[:-1] for name, values in new.items()}
    assert {one.state for one in shifts(fewer, old)} == {"too few"}


def test_exempt_columns_are_measured_and_raise_no_alarm():
    new, old = night(1, 5_000), night(2, 5_000)
    new["x10"] = new["x10"] + 5
    (moved,) = (one for one in shifts(new, old, exempt=frozenset({"x10"})) if one.name == "x10")
    assert moved.state == "exempt"
    assert moved.low > 0.9
