"""BG/NBD and Gamma-Gamma inside the builder: learnt per cutoff, joined to each history."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zlib import crc32

import narwhals as nw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.days import day_number
from churn.data.history.past import customer_blocks, moments
from churn.data.tables import Tables
from churn.features import lifetime_fits
from churn.features.builder import build_features, newest_population
from churn.features.catalogue import feature_names
from churn.features.clock import FeatureClock
from churn.features.lifetime import BGNBD
from churn.features.lifetime_fits import (
    BUYING,
    LIFETIME_NUMBERS,
    Fit,
    expectations,
    fit_lifetime,
)
from churn.features.population import learn_population
from churn.features.spend import GammaGamma

CUTOFF = date(2024, 5, 1)
DAY = day_number(CUTOFF)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
LIFETIME = feature_names(families=["lifetime"])

Row = dict[str, Any]


def order(customer: str, days_ago: float, amount: float) -> Row:
    at = datetime(2024, 5, 1, tzinfo=UTC) - timedelta(days=days_ago) + timedelta(hours=9)
    return {"customer_id": customer, "ordered_at": at, "amount": amount}


@pytest.fixture(scope="module")
def regulars() -> list[Row]:
    """Sixty customers of every kind: once and never again, often, lately, long ago."""
    rng = np.random.default_rng(5)
    return [
        order(str(customer), float(age), float(rng.integers(500, 6000)) / 100)
        for customer in range(60)
        for age in rng.choice(np.arange(1, 300), size=rng.geometric(0.3), replace=False)
    ]


def fitted(tables: Tables, *cutoffs: date) -> dict[int, dict[str, float | None]]:
    """The numbers at those cutoffs, without a limit for a day's spend."""
    blocks, at = customer_blocks(tables), moments(tables, cutoffs)
    buyers = learn_population(blocks, at).buyers
    return fit_lifetime(blocks, [Fit(moment, buyers.get(moment.day, 0)) for moment in at])


def rows_of(tables: Tables, frame: nw.LazyFrame) -> list[Row]:
    return tables.engine.collect(frame).to_pylist()


def buying(rows: list[Row]) -> list[tuple[int, int, int, float]]:
    """Purchase days, tenure, recency and spend of each customer, in plain Python."""
    ages: dict[str, dict[int, float]] = {}
    for row in rows:
        age = (CUTOFF - row["ordered_at"].date()).days
        spent = ages.setdefault(row["customer_id"], {})
        spent[age] = spent.get(age, 0.0) + row["amount"]
    return [(len(one), max(one), min(one), sum(one.values())) for one in ages.values()]


def test_a_history_is_purchase_days_tenure_recency_and_whole_cents(open_shop):
    rows = [
        order("anna", 9, 10.004),
        order("anna", 9, 5.0),
        order("anna", 2, 1.0),
        order("anna", 1, -3.0),
        order("ben", 4, 0.001),
        order("cleo", 4, -7.0),
        order("dora", 0, 50.0),
    ]
    found = sorted(rows_of_histories(open_shop(rows)), key=lambda row: row["purchase_days"])
    assert found == [
        {"purchase_days": 1, "tenure_days": 4, "recency_days": 4, "spend_cents": 1},
        {"purchase_days": 2, "tenure_days": 9, "recency_days": 2, "spend_cents": 1600},
    ]


def rows_of_histories(tables: Tables) -> list[Row]:
    fits = [Fit(moment, buyers=4) for moment in moments(tables, [CUTOFF])]
    sweep = partial(lifetime_fits._histories, fits)
    batches = customer_blocks(tables).batches(sweep, lifetime_fits.HISTORIES)
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert all(row.pop("cutoff") == DAY and row.pop("customers") == 1 for row in rows)
    return rows


def test_half_a_cent_goes_up_though_the_sum_falls_short_of_it(open_shop):
    """0.285 is a little less than 28.5 cents."""
    (row,) = rows_of_histories(open_shop([order("anna", 3, 0.285)]))
    assert row["spend_cents"] == 29


def test_the_fits_are_those_of_one_row_a_customer(open_shop, regulars):
    """Counting equal histories once with a weight changes no more than the search's last digits."""
    tables = open_shop(regulars)
    numbers = fitted(tables, CUTOFF)[DAY]
    days, tenure, recency, spend = np.array(buying(regulars)).T
    bg_nbd = BGNBD.fit(days - 1, tenure - recency, tenure).to_dict()
    gamma_gamma = GammaGamma.fit(days, spend / days).to_dict()
    expected = {f"bg_nbd_{name}": value for name, value in bg_nbd.items()}
    expected |= {f"gamma_gamma_{name}": value for name, value in gamma_gamma.items()}
    assert tuple(numbers) == LIFETIME_NUMBERS
    assert numbers == pytest.approx(expected, rel=1e-3)


def test_of_many_customers_a_fit_takes_those_whose_hash_is_in_its_share(
    open_shop, regulars, monkeypatch
):
    """Twenty of sixty: the fit is that of a shop with these customers alone."""
    whole = open_shop(regulars)
    chosen = {str(one) for one in range(60) if crc32(str(one).encode()) / 2**32 < 20 / 60}
    assert 10 <= len(chosen) <= 30
    some = open_shop([row for row in regulars if row["customer_id"] in chosen])
    alone = fitted(some, CUTOFF)[DAY]
    monkeypatch.setattr(lifetime_fits, "MOST_CUSTOMERS", 20)
    assert fitted(whole, CUTOFF)[DAY] == alone
    assert fitted(open_shop(regulars[::-1]), CUTOFF)[DAY] == alone


def test_each_cutoff_has_its_own_share(open_shop, regulars, monkeypatch):
    """Fewer had bought before the earlier cutoff, so more of them are used."""
    early = CUTOFF - timedelta(days=150)
    tables = open_shop(regulars)
    monkeypatch.setattr(lifetime_fits, "MOST_CUSTOMERS", 25)
    both, alone = fitted(tables, early, CUTOFF), fitted(tables, early)
    assert both[day_number(early)] == alone[day_number(early)]
    assert both[DAY] == fitted(tables, CUTOFF)[DAY]


@given(
    st.lists(
        st.tuples(*(st.integers(0, most) for most in (400, 2**17, 2**17, 2**40))),
        min_size=0,
        max_size=30,
    )
)
def test_equal_histories_are_found_however_large_the_numbers_are(rows):
    columns = dict(zip("abcd", np.array(rows, dtype=np.int64).reshape(-1, 4).T, strict=True))
    places, distinct = lifetime_fits._distinct(columns)
    expected = sorted(set(rows))
    assert list(zip(*(distinct[name].tolist() for name in "abcd"), strict=True)) == expected
    assert [expected[place] for place in places] == rows


def test_each_cutoff_learns_from_what_precedes_it(open_shop, regulars):
    early = CUTOFF - timedelta(days=90)
    before = [row for row in regulars if row["ordered_at"].date() < early]
    tables, alone = open_shop(regulars), open_shop(before)
    both = fitted(tables, early, CUTOFF)
    assert set(both) == {day_number(early), DAY}
    assert both[day_number(early)] == fitted(alone, early)[day_number(early)]
    assert both[day_number(early)] != both[DAY]


def test_the_fits_are_the_same_whatever_the_order_of_the_rows(open_shop, regulars):
    forth, back = open_shop(regulars), open_shop(regulars[::-1])
    assert fitted(forth, CUTOFF) == fitted(back, CUTOFF)


def test_each_history_has_what_the_model_expects_of_it(open_shop, regulars):
    numbers = fitted(open_shop(regulars), CUTOFF)[DAY]
    days, tenure, recency = np.array(buying(regulars)).T[:3]
    row = dict(zip(BUYING, (days, tenure, recency), strict=True))
    found = expectations(row, numbers, horizon_days=28)
    model = BGNBD(**{name: numbers[f"bg_nbd_{name}"] for name in ("r", "alpha", "a", "b")})
    past = (days - 1, tenure - recency, tenure)
    assert found["bg_nbd_alive"] == pytest.approx(model.probability_alive(*past))
    assert found["bg_nbd_no_purchase"] == pytest.approx(model.probability_no_purchase(28, *past))
    assert found["bg_nbd_purchase_days"] == pytest.approx(model.expected_purchases(28, *past))


def test_without_a_fit_or_a_purchase_nothing_is_expected(open_shop, regulars):
    numbers = fitted(open_shop(regulars), CUTOFF)[DAY]
    row = {"purchase_days": [3.0, 0.0], "tenure_days": [9.0, np.nan], "recency_days": [2.0, np.nan]}
    for unknown in (dict.fromkeys(LIFETIME_NUMBERS), {}):
        found = expectations(row, unknown, horizon_days=28)
        assert all(np.isnan(values).all() for values in found.values())
    found = expectations(row, numbers, horizon_days=28)
    assert [np.isnan(values).tolist() for values in found.values()] == [[False, True]] * 3


def test_where_nobody_bought_there_is_no_fit_and_every_row_stays(open_shop):
    tables = open_shop([order("anna", 5, -3.0), order("ben", 5, 0.0)])
    assert fitted(tables, CUTOFF) == {}
    rows = rows_of(tables, build_features(tables, [CUTOFF], CLOCK, names=LIFETIME))
    assert {row["customer_id"] for row in rows} == {"anna", "ben"}
    assert all(row["p_alive"] is row["expected_day_spend"] is None for row in rows)


def test_the_winsorised_spends_teach_the_model_of_spend(open_shop, regulars):
    """One order of a million among them moves what a day is worth by the limit at most."""
    usual, wholesale = (
        newest_population(open_shop(rows), CUTOFF, CLOCK, LIFETIME)
        for rows in (regulars, [*regulars, order("7", 20.5, 1e6)])
    )
    means = [
        one["gamma_gamma_p"] * one["gamma_gamma_gamma"] / (one["gamma_gamma_q"] - 1)
        for one in (usual, wholesale)
    ]
    assert wholesale["population_day_limit"] < 1e4
    assert means[0] < means[1] < 2 * means[0]


def test_who_bought_often_and_stays_away_is_less_likely_alive(open_shop, regulars):
    """Both came weekly for ten weeks; one was here yesterday, one has been away for a year."""
    here = [order("here", 1 + 7 * week, 20.0) for week in range(10)]
    away = [order("away", 366 + 7 * week, 20.0) for week in range(10)]
    tables = open_shop([*regulars, *here, *away])
    rows = rows_of(tables, build_features(tables, [CUTOFF], CLOCK, names=LIFETIME))
    found = {row["customer_id"]: row for row in rows}
    assert found["away"]["p_alive"] < 0.05
    assert found["here"]["p_alive"] > 0.9
    assert found["away"]["p_no_purchase_in_horizon"] > found["here"]["p_no_purchase_in_horizon"]
    assert found["here"]["expected_spend_in_horizon"] == pytest.approx(
        found["here"]["expected_purchase_days"] * found["here"]["expected_day_spend"]
    )
