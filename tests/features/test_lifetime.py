"""BG/NBD: the published figures, the formulas the long way round, and degenerate shops."""

import json
import math
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammaln
from scipy.stats import beta

from churn.errors import ConfigError, DataError, GateError, ModelError
from churn.features.lifetime import BGNBD

CDNOW = Path(__file__).parents[2].parent / "shared/data/cdnow_sample/cdnow_sample.parquet"
PUBLISHED = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)  # weeks

positive = st.floats(-4, 4).map(math.exp)
models = st.builds(BGNBD, r=positive, alpha=positive, a=positive, b=positive)
durations = st.floats(0, 5000)
frequencies = st.integers(0, 5000)


@st.composite
def histories(draw):
    x, now = draw(frequencies), draw(durations)
    return x, (now * draw(st.floats(0, 1)) if x else 0.0), now


@pytest.fixture(scope="module")
def cdnow_weeks():
    if not CDNOW.exists():
        pytest.skip("needs ../shared/data/cdnow_sample")
    columns = duckdb.sql(f"""
        with days as (
            select distinct customer_id, date from '{CDNOW}' where date <= date '1997-09-30'
        )
        select
            count(*) - 1 as frequency,
            date_diff('day', min(date), max(date)) / 7 as recency,
            date_diff('day', min(date), date '1997-09-30') / 7 as age
        from days group by customer_id
    """).fetchnumpy()
    return columns["frequency"], columns["recency"], columns["age"]


def simulate(truth: BGNBD, customers: int, seed: int) -> tuple[np.ndarray, ...]:
    """Histories of customers who buy and drop out as the model says."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(truth.r, 1 / truth.alpha, customers)
    dropout = rng.beta(truth.a, truth.b, customers)
    age = rng.integers(50, 366, customers).astype(float)
    frequency, recency, clock = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive = np.arange(customers)
    while alive.size:
        clock[alive] += rng.exponential(1 / rate[alive])
        alive = alive[clock[alive] <= age[alive]]
        frequency[alive] += 1
        recency[alive] = clock[alive]
        alive = alive[rng.random(alive.size) > dropout[alive]]
    return frequency, recency, age


def naive_log_likelihood(model: BGNBD, x: float, t_x: float, now: float) -> float:
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    first = gammaln(r + x) - gammaln(r) + r * math.log(alpha)
    second = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    living = (alpha + now) ** -(r + x)
    dropped = a / (b + x - 1) * (alpha + t_x) ** -(r + x) if x > 0 else 0.0
    return float(first + second + math.log(living + dropped))


def integrated_expectation(model: BGNBD, t: float, x: float, now: float) -> float:
    """Mean purchases while alive: over the dropout probability p, of (1 - e^(-rate p t)) / p."""
    share = t / (model.alpha + now)

    def integrand(p: float) -> float:
        bought = -math.expm1(-(model.r + x) * math.log1p(p * share))
        return bought / p * beta.pdf(p, model.a, model.b + x)

    return quad(integrand, 0, 1, limit=200)[0]


def test_it_finds_the_published_parameters_of_cdnow(cdnow_weeks):
    fitted = BGNBD.fit(*cdnow_weeks).to_dict()
    assert len(cdnow_weeks[0]) == 2357
    assert fitted == pytest.approx(PUBLISHED.to_dict(), rel=0.01)


def test_it_reaches_the_published_log_likelihood_of_cdnow(cdnow_weeks):
    fitted = BGNBD.fit(*cdnow_weeks)
    assert fitted.log_likelihood(*cdnow_weeks) == pytest.approx(-9582.4, abs=0.05)


def test_it_expects_the_published_purchases_of_the_papers_customer():
    assert PUBLISHED.expected_purchases(39, 2, 30.43, 38.86) == pytest.approx(1.226, abs=0.0005)


def test_the_unit_of_time_changes_alpha_alone(cdnow_weeks):
    frequency, recency, age = cdnow_weeks
    weeks = BGNBD.fit(frequency, recency, age)
    seconds = BGNBD.fit(frequency, recency * 604_800, age * 604_800)
    expected = {**weeks.to_dict(), "alpha": weeks.alpha * 604_800}
    assert seconds.to_dict() == pytest.approx(expected, rel=1e-6)


def test_no_parameters_nearby_are_more_likely(cdnow_weeks):
    fitted = BGNBD.fit(*cdnow_weeks)
    best = fitted.log_likelihood(*cdnow_weeks)
    for name, value in fitted.to_dict().items():
        for factor in (0.99, 1.01):
            other = BGNBD(**{**fitted.to_dict(), name: value * factor})
            assert other.log_likelihood(*cdnow_weeks) < best


@pytest.mark.parametrize(
    "truth", [BGNBD(r=0.5, alpha=20, a=0.8, b=3), BGNBD(r=2, alpha=15, a=0.3, b=8)]
)
def test_it_recovers_the_parameters_behind_simulated_customers(truth):
    fitted = BGNBD.fit(*simulate(truth, 20_000, seed=1))
    assert fitted.to_dict() == pytest.approx(truth.to_dict(), rel=0.15)


def test_the_same_histories_give_the_same_parameters_in_any_order():
    frequency, recency, age = simulate(PUBLISHED, 500, seed=2)
    assert BGNBD.fit(frequency, recency, age) == BGNBD.fit(
        frequency[::-1], recency[::-1], age[::-1]
    )


def test_a_weight_counts_as_that_many_rows():
    rows = np.array(simulate(PUBLISHED, 300, seed=3))
    times = np.arange(300) % 4
    repeated = np.repeat(rows, times, axis=1)
    weighted = BGNBD.fit(*rows, weights=times)
    assert weighted.to_dict() == pytest.approx(BGNBD.fit(*repeated).to_dict(), rel=1e-6)
    assert PUBLISHED.log_likelihood(*rows, weights=times) == pytest.approx(
        PUBLISHED.log_likelihood(*repeated)
    )


@given(models, st.lists(histories(), min_size=1, max_size=20))
def test_grouped_histories_have_the_likelihood_of_the_single_ones(model, rows):
    rows = [(min(x, 30), t_x, now) for x, t_x, now in rows] * 2
    one_by_one = sum(naive_log_likelihood(model, *row) for row in rows)
    assert model.log_likelihood(*zip(*rows, strict=True)) == pytest.approx(one_by_one, rel=1e-6)


@pytest.mark.parametrize("a", [0.3, 1.0, 1.0 + 1e-9, 2.5, 60.0])
@pytest.mark.parametrize("x", [0, 1, 12, 400])
@pytest.mark.parametrize("t", [0.5, 30, 900])
def test_expected_purchases_equal_the_integral_over_dropout(a, x, t):
    model = BGNBD(r=0.7, alpha=5, a=a, b=1.4)
    while_alive = integrated_expectation(model, t, x, 100)
    expected = while_alive * model.probability_alive(x, 90, 100)
    assert model.expected_purchases(t, x, 90, 100) == pytest.approx(expected, rel=1e-4)


def test_expected_purchases_stay_finite_where_a_plus_b_is_one_and_nobody_came_back():
    model = BGNBD(r=0.7, alpha=5, a=0.25, b=0.75)
    expected = integrated_expectation(model, 30, 0, 100)
    assert model.expected_purchases(30, 0, 0, 100) == pytest.approx(expected, rel=1e-4)


def test_expected_purchases_survive_where_the_series_overflows():
    model = BGNBD(r=0.17, alpha=0.03, a=0.0142, b=670.0)
    assert model.expected_purchases(147.3, 0, 0, 0.0862) == pytest.approx(212.6, rel=0.01)


@given(models, durations, histories())
def test_probabilities_and_expectations_are_sane_for_every_history(model, t, history):
    assert 0 <= model.probability_alive(*history) <= 1
    assert 0 <= model.probability_no_purchase(t, *history) <= 1
    expected = model.expected_purchases(t, *history)
    assert np.isfinite(expected)
    buys = 1 - model.probability_no_purchase(t, *history)
    assert buys <= expected * (1 + 1e-3) + 1e-6  # P(X >= 1) <= E[X]


@given(models, frequencies, durations, st.floats(0, 1), st.floats(0, 1))
def test_a_later_last_purchase_makes_being_alive_more_likely(model, x, now, one, other):
    early, late = sorted((one * now, other * now))
    alive = model.probability_alive(x, [early, late], now)
    assert alive[0] <= alive[1] + 1e-12


@given(models, histories(), durations, durations)
def test_a_longer_horizon_leaves_less_chance_of_no_purchase(model, history, one, other):
    absent = model.probability_no_purchase(sorted((one, other)), *history)
    assert absent[1] <= absent[0] + 1e-12


@given(models, histories())
def test_an_empty_horizon_holds_no_purchase(model, history):
    assert model.probability_no_purchase(0, *history) == pytest.approx(1)
    assert model.expected_purchases(0, *history) == pytest.approx(0, abs=1e-6)


def test_what_it_expects_comes_true_among_simulated_new_customers():
    model, horizon, customers = BGNBD(r=0.5, alpha=20, a=0.8, b=3), 90.0, 40_000
    rng = np.random.default_rng(4)
    wanted = rng.poisson(rng.gamma(model.r, 1 / model.alpha, customers) * horizon)
    until_dropout = rng.geometric(rng.beta(model.a, model.b, customers))
    bought = np.minimum(wanted, until_dropout)
    assert model.expected_purchases(horizon, 0, 0, 0) == pytest.approx(bought.mean(), rel=0.03)
    absent = model.probability_no_purchase(horizon, 0, 0, 0)
    assert absent == pytest.approx((bought == 0).mean(), abs=0.01)


def test_without_a_repeat_purchase_everyone_counts_as_alive():
    assert PUBLISHED.probability_alive([0, 0], [0, 0], [1, 5000]).tolist() == [1, 1]


def test_missing_histories_give_missing_answers():
    nan = float("nan")
    assert np.isnan(PUBLISHED.probability_alive(nan, nan, nan))
    assert np.isnan(PUBLISHED.expected_purchases([5, 5], [nan, 1], 1, 2)).tolist() == [True, False]


@pytest.mark.parametrize("customers", [1, 10, 10_000])
def test_a_shop_of_one_time_buyers_expects_almost_nobody_back(customers):
    age = np.linspace(1, 365, customers)
    model = BGNBD.fit(np.zeros(customers), np.zeros(customers), age)
    assert 0 < model.expected_purchases(28, 0, 0, 100) < 0.3 / customers**0.5
    assert 0.8 < model.probability_no_purchase(28, 0, 0, 100) < 1


@pytest.mark.parametrize(
    ("frequency", "recency", "age"),
    [
        ([0], [0], [0]),
        ([5000], [365], [365]),
        ([5] * 9, [100] * 9, [100] * 9),
        ([1] * 9, [1] * 9, [100] * 9),
        ([3, 0], [0, 0], [0, 0]),
    ],
    ids=["bought just now", "one heavy buyer", "nobody left", "all left", "all in one moment"],
)
def test_degenerate_shops_give_finite_answers(frequency, recency, age):
    model = BGNBD.fit(frequency, recency, age)
    assert np.isfinite(model.expected_purchases(84, frequency, recency, age)).all()
    assert np.isfinite(model.log_likelihood(frequency, recency, age))


def test_a_prior_draws_the_parameters_towards_one_mean_age():
    rows = simulate(PUBLISHED, 200, seed=5)
    strict = BGNBD.fit(*rows, prior_precision=1e9)
    assert [strict.r, strict.a, strict.b] == pytest.approx([1, 1, 1], rel=1e-3)
    assert strict.alpha == pytest.approx(rows[2].mean(), rel=1e-3)


@given(models)
def test_it_survives_json(model):
    assert BGNBD.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_foreign_parameters_are_refused():
    with pytest.raises(ModelError, match=r"Read what to_dict\(\) wrote"):
        BGNBD.from_dict({"r": 1.0, "alpha": 1.0})


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_parameters_must_be_positive_and_finite(bad):
    with pytest.raises(ConfigError, match=r"Use those of BGNBD\.fit"):
        BGNBD(r=bad, alpha=1, a=1, b=1)


def test_no_customers_are_too_little_to_learn_from():
    with pytest.raises(GateError, match="Pick a later cutoff"):
        BGNBD.fit([], [], [])


@pytest.mark.parametrize("row", [(-1, 0, 5), (1, 6, 5), (1, -1, 5), (1, 2, float("nan"))])
def test_impossible_histories_are_refused_and_counted(row):
    with pytest.raises(DataError, match=r"1 impossible of 2\. Count recency and age"):
        BGNBD.fit(*zip(row, (1, 2, 5), strict=True))


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="Pass columns of one table"):
        BGNBD.fit([1, 2], [1, 2, 3], [5, 5])
