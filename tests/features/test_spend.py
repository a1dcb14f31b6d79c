"""Gamma-Gamma: the published figures, the density the long way round, and degenerate shops."""

import json
import math
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import gamma as gamma_law

from churn.errors import ConfigError, DataError, GateError, ModelError
from churn.features.spend import GammaGamma

CDNOW = Path(__file__).parents[2].parent / "shared/data/cdnow_sample/cdnow_sample.parquet"
PUBLISHED = GammaGamma(p=6.25, q=3.74, gamma=15.44)  # dollars

positive = st.floats(-4, 4).map(math.exp)
models = st.builds(GammaGamma, p=positive, q=positive.map(lambda prior: 1 + prior), gamma=positive)
spends = st.floats(-7, 14).map(math.exp)
days = st.integers(1, 5000)
histories = st.tuples(days, spends)


@pytest.fixture(scope="module")
def cdnow_repeats():
    """The paper's statistics: a customer's purchase days after the first and their mean spend.

    Up to 1997-09-30; the orders of one day are one purchase, a day without spend is none.
    """
    if not CDNOW.exists():
        pytest.skip("needs ../shared/data/cdnow_sample")
    columns = duckdb.sql(f"""
        with spent as (
            select customer_id, date, sum(amount) as amount from '{CDNOW}'
            where date <= date '1997-09-30' group by all having sum(amount) > 0
        ), numbered as (
            select *, row_number() over (partition by customer_id order by date) as nth from spent
        )
        select count(*) as days, avg(amount) as mean_spend
        from numbered where nth > 1 group by customer_id
    """).fetchnumpy()
    return columns["days"], columns["mean_spend"]


def simulate(truth: GammaGamma, customers: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Purchase days and mean spends of customers who spend as the model says."""
    rng = np.random.default_rng(seed)
    bought = rng.geometric(0.4, customers)
    rate = rng.gamma(truth.q, 1 / truth.gamma, customers)
    return bought, rng.gamma(truth.p * bought) / rate / bought


def integrated_log_density(model: GammaGamma, x: int, mean: float) -> float:
    """Of a mean of x Gamma(p, rate) spends, over the rates Gamma(q, gamma) of customers."""

    def integrand(log_rate: float) -> float:
        rate = math.exp(log_rate)
        spent = gamma_law.pdf(mean, model.p * x, scale=1 / (rate * x))
        return spent * gamma_law.pdf(rate, model.q, scale=1 / model.gamma) * rate

    centre = math.log((model.p * x + model.q) / (model.gamma + x * mean))
    return math.log(quad(integrand, centre - 30, centre + 30, points=[centre], limit=500)[0])


def test_it_finds_the_published_parameters_of_cdnow(cdnow_repeats):
    fitted = GammaGamma.fit(*cdnow_repeats).to_dict()
    assert len(cdnow_repeats[0]) == 946
    assert fitted == pytest.approx(PUBLISHED.to_dict(), rel=0.002)


@pytest.mark.parametrize(
    ("x", "mean", "expected"),
    [
        (0, 0, 35.170981),
        (2, 22.35, 24.658619),
        (1, 11.77, 18.911489),
        (7, 73.74, 71.462843),
        (2, 25.55, 27.282408),
    ],
)
def test_it_expects_the_published_spends_of_cdnows_customers(cdnow_repeats, x, mean, expected):
    """The figures are those printed in the guide of the Python package lifetimes."""
    fitted = GammaGamma.fit(*cdnow_repeats)
    assert fitted.expected_mean_spend(x, mean) == pytest.approx(expected, rel=0.0005)


def test_no_parameters_nearby_are_more_likely(cdnow_repeats):
    fitted = GammaGamma.fit(*cdnow_repeats)
    best = fitted.log_likelihood(*cdnow_repeats)
    for name, value in fitted.to_dict().items():
        for factor in (0.99, 1.01):
            other = GammaGamma(**{**fitted.to_dict(), name: value * factor})
            assert other.log_likelihood(*cdnow_repeats) < best


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e9])
def test_the_currency_changes_gamma_alone(cdnow_repeats, factor):
    bought, mean = cdnow_repeats
    dollars = GammaGamma.fit(bought, mean)
    expected = {**dollars.to_dict(), "gamma": dollars.gamma * factor}
    assert GammaGamma.fit(bought, mean * factor).to_dict() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "truth",
    [
        PUBLISHED,
        GammaGamma(p=0.5, q=2.5, gamma=40),
        GammaGamma(p=30, q=15, gamma=1e6),
        GammaGamma(p=3, q=1.5, gamma=1e-3),
    ],
)
def test_it_recovers_the_parameters_behind_simulated_customers(truth):
    fitted = GammaGamma.fit(*simulate(truth, 40_000, seed=1))
    assert fitted.to_dict() == pytest.approx(truth.to_dict(), rel=0.1)


def test_the_next_spends_of_simulated_customers_are_as_expected():
    rng, customers = np.random.default_rng(2), 100_000
    rate = rng.gamma(PUBLISHED.q, 1 / PUBLISHED.gamma, customers)
    so_far = rng.gamma(2 * PUBLISHED.p, 1 / (2 * rate))
    following = rng.gamma(PUBLISHED.p, 1 / rate)
    expected = PUBLISHED.expected_mean_spend(2, so_far)
    for fifth in np.array_split(np.argsort(so_far), 5):
        assert expected[fifth].mean() == pytest.approx(following[fifth].mean(), rel=0.02)


def test_the_same_histories_give_the_same_parameters_in_any_order():
    bought, mean = simulate(PUBLISHED, 500, seed=3)
    assert GammaGamma.fit(bought, mean) == GammaGamma.fit(bought[::-1], mean[::-1])


def test_a_weight_counts_as_that_many_rows():
    rows = np.array(simulate(PUBLISHED, 300, seed=4))
    times = np.arange(300) % 4
    repeated = np.repeat(rows, times, axis=1)
    weighted = GammaGamma.fit(*rows, weights=times)
    assert weighted.to_dict() == pytest.approx(GammaGamma.fit(*repeated).to_dict(), rel=1e-4)
    assert PUBLISHED.log_likelihood(*rows, weights=times) == pytest.approx(
        PUBLISHED.log_likelihood(*repeated)
    )


def test_rows_without_a_purchase_day_change_nothing():
    bought, mean = simulate(PUBLISHED, 300, seed=5)
    unseen = np.array([0, float("nan"), float("inf")])
    padded = np.r_[bought, 0, 0, 0], np.r_[mean, unseen]
    assert GammaGamma.fit(*padded) == GammaGamma.fit(bought, mean)
    assert PUBLISHED.log_likelihood(*padded) == PUBLISHED.log_likelihood(bought, mean)


@pytest.mark.parametrize(("x", "mean"), [(1, 3.0), (1, 200.0), (4, 25.0), (60, 31.0)])
@pytest.mark.parametrize("model", [PUBLISHED, GammaGamma(p=0.4, q=1.2, gamma=9)])
def test_the_density_equals_the_integral_over_customers(model, x, mean):
    expected = integrated_log_density(model, x, mean)
    assert model.log_likelihood(x, mean) == pytest.approx(expected, rel=1e-6)


@given(models, st.lists(histories, min_size=1, max_size=20))
def test_the_likelihood_of_many_is_the_sum_of_each(model, rows):
    rows *= 2
    one_by_one = sum(model.log_likelihood(*row) for row in rows)
    together = model.log_likelihood(*zip(*rows, strict=True))
    assert together == pytest.approx(one_by_one, rel=1e-9, abs=1e-6)


@given(models, days, spends)
def test_a_mean_spend_is_drawn_towards_the_populations(model, x, mean):
    population = model.expected_mean_spend(0, 0)
    expected = model.expected_mean_spend(x, mean)
    low, high = sorted((mean, float(population)))
    assert low * (1 - 1e-9) <= expected <= high * (1 + 1e-9)


@given(models, spends, st.integers(0, 5000), st.integers(0, 5000))
def test_more_purchase_days_bring_the_expectation_nearer_to_the_own_mean(model, mean, one, other):
    few, many = np.abs(model.expected_mean_spend(sorted((one, other)), mean) - mean)
    assert many <= few + 1e-9 * max(mean, few)


@given(models, days, spends, spends)
def test_who_spent_more_is_expected_to_spend_more(model, x, one, other):
    less, more = model.expected_mean_spend(x, sorted((one, other)))
    assert less <= more * (1 + 1e-12)


@given(models, histories)
def test_the_expectation_is_that_of_the_papers_equation(model, history):
    x, mean = history
    paper = (model.gamma + x * mean) * model.p / (model.p * x + model.q - 1)
    assert model.expected_mean_spend(x, mean) == pytest.approx(paper, rel=1e-9)


def test_without_a_purchase_day_the_populations_mean_is_expected():
    nan = float("nan")
    expected = PUBLISHED.expected_mean_spend(0, [0, 1000, nan])
    assert expected == pytest.approx(6.25 * 15.44 / 2.74)


def test_missing_histories_give_missing_answers():
    nan = float("nan")
    expected = PUBLISHED.expected_mean_spend([nan, 2, 2], [5, nan, 5])
    assert np.isnan(expected).tolist() == [True, True, False]


@given(st.lists(histories, min_size=1, max_size=8))
@settings(max_examples=50)
def test_any_shop_gives_finite_parameters_and_answers(rows):
    bought, mean = zip(*rows, strict=True)
    model = GammaGamma.fit(bought, mean)
    population = model.expected_mean_spend(0, 0)
    assert np.isfinite(model.expected_mean_spend(bought, mean)).all()
    assert np.isfinite(model.log_likelihood(bought, mean))
    assert 0 < population <= 10.001 * np.mean(mean)


@pytest.mark.parametrize(
    "bought", [[1] * 9, [1, 2, 3], [4], [5000, 1]], ids=["once", "few", "one customer", "far apart"]
)
def test_where_all_spend_the_same_everyone_is_expected_to_go_on(bought):
    model = GammaGamma.fit(bought, 12.5)
    assert model.expected_mean_spend([0, *bought], 12.5) == pytest.approx(12.5, rel=0.001)


@pytest.mark.parametrize("customers", [2, 50, 5000])
def test_in_a_shop_of_one_time_buyers_the_population_counts_as_one_more_day(customers):
    mean = np.random.default_rng(6).lognormal(3, 0.8, customers)
    model = GammaGamma.fit(np.ones(customers), mean)
    population = float(model.expected_mean_spend(0, 0))
    assert population == pytest.approx(mean.mean(), rel=0.05)
    assert model.expected_mean_spend(1, mean) == pytest.approx((mean + population) / 2)


def test_two_customers_keep_their_order():
    model = GammaGamma.fit([2, 3], [20, 40])
    low, high = model.expected_mean_spend([2, 3], [20, 40])
    assert 20 <= low < high <= 40.1


def test_tails_too_heavy_for_a_mean_still_leave_one_within_ten_times_the_observed():
    rng = np.random.default_rng(7)
    rate = rng.gamma(0.7, 0.1, 5000)
    mean = rng.gamma(2.0, 1 / rate)
    model = GammaGamma.fit(np.full(5000, 2), mean)
    assert model.expected_mean_spend(0, 0) <= 10.001 * mean.mean()
    assert np.isfinite(model.expected_mean_spend(2, mean)).all()


@given(models)
def test_it_survives_json(model):
    assert GammaGamma.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_foreign_parameters_are_refused():
    with pytest.raises(ModelError, match=r"Read what to_dict\(\) wrote"):
        GammaGamma.from_dict({"p": 1.0, "q": 2.0, "v": 1.0})


@pytest.mark.parametrize("name", ["p", "q", "gamma"])
@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_parameters_must_be_positive_and_finite(name, bad):
    with pytest.raises(ConfigError, match=rf"got {{'{name}': .*Use those of GammaGamma\.fit"):
        GammaGamma(**{**PUBLISHED.to_dict(), name: bad})


def test_a_population_without_a_mean_is_refused():
    with pytest.raises(ConfigError, match="with q above 1"):
        GammaGamma(p=1, q=1, gamma=1)


@pytest.mark.parametrize(
    ("bought", "mean", "weights"),
    [([], [], None), ([0, 0], [0, 0], None), ([1, 2], [5, 5], [0, 0])],
    ids=["nobody", "nobody bought", "nobody counts"],
)
def test_no_purchases_are_too_little_to_learn_from(bought, mean, weights):
    with pytest.raises(GateError, match="Pick a later cutoff"):
        GammaGamma.fit(bought, mean, weights=weights)


@pytest.mark.parametrize(
    "row",
    [(-1, 5), (1, 0), (1, -5), (2, float("nan")), (float("nan"), 5), (float("inf"), 5)],
)
def test_impossible_histories_are_refused_and_counted(row):
    with pytest.raises(DataError, match=r"1 impossible of 2\. Count the purchase days"):
        GammaGamma.fit(*zip(row, (1, 2), strict=True))


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(DataError, match="1 impossible of 1"):
        GammaGamma.fit([1], [5], weights=[weight])


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="Pass columns of one table"):
        GammaGamma.fit([1, 2], [1, 2, 3])
