"""What is learnt from all customers is learnt per cutoff, from before it."""

import json
from datetime import UTC, date, datetime, timedelta
from math import exp, isnan, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.days import day_number
from churn.data.history.past import customer_blocks, moments
from churn.errors import ModelError
from churn.features.population import NUMBERS, Population, learn_population

CUTOFF = date(2024, 5, 1)
IN_ONE_PASS = (
    "population_gap_days",
    "population_gap_deviation_days",
    "population_order_amount",
    "population_day_limit",
)


def learnt(tables, *cutoffs: date, texts=()) -> Population:
    grains = ("orders", "customers") if tables.has("customers") else ("orders",)
    blocks = customer_blocks(tables, grains)
    return learn_population(blocks, moments(tables, cutoffs), texts=texts)


def numbers(tables, cutoff: date) -> list[float | None]:
    found = learnt(tables, cutoff).at(day_number(cutoff))
    return [found[name] for name in IN_ONE_PASS]


def fence(*day_spends: float) -> float:
    logs = [log(spend) for spend in day_spends]
    mean = sum(logs) / len(logs)
    return exp(mean + 3 * sqrt(sum((one - mean) ** 2 for one in logs) / len(logs)))


def log_normal_mean(*day_spends: float) -> float:
    logs = [log(spend) for spend in day_spends]
    mean = sum(logs) / len(logs)
    return exp(mean + sum((one - mean) ** 2 for one in logs) / len(logs) / 2)


def test_each_cutoff_has_the_mean_gap_its_deviation_and_the_usual_order_before_it(
    open_shop, tiny_shop
):
    early, late = date(2024, 3, 2), CUTOFF
    found = learnt(open_shop(tiny_shop), early, late)
    gap, gap_deviation, order = IN_ONE_PASS[:3]
    first, second = (found.at(day_number(cutoff)) for cutoff in (early, late))
    # Anna's gaps: 14 and 15 days, then 14 and 17 as well
    assert (first[gap], first[gap_deviation], first[order]) == pytest.approx((14.5, 0.5, 20.0))
    assert (second[gap], second[gap_deviation]) == pytest.approx((15.0, 1.5**0.5))
    # 162.5 / 7 is more than the mean of the log-normal
    assert second[order] == pytest.approx(log_normal_mean(20, 20, 20, 20, 20, 50, 12.5))


@given(
    st.lists(st.integers(-200, 5), min_size=1, max_size=6, unique=True).map(
        lambda days: [CUTOFF + timedelta(days=day) for day in days]
    ),
    st.booleans(),
)
def test_cutoffs_learnt_together_are_as_each_alone(open_shop, tiny_shop, cutoffs, dated):
    """In any order; with arrivals, too."""
    late = {"loaded_at": datetime(2024, 4, 15, tzinfo=UTC)}
    rows = [row | late for row in tiny_shop] if dated else tiny_shop
    tables = open_shop(rows)
    together = learnt(tables, *cutoffs)
    for cutoff in cutoffs:
        alone = learnt(tables, cutoff)
        assert together.at(day_number(cutoff)) == alone.at(day_number(cutoff))
        assert together.buyers[day_number(cutoff)] == alone.buyers[day_number(cutoff)]


def test_buyers_are_those_with_a_purchase_before_the_cutoff(open_shop, tiny_shop):
    early, late = date(2024, 3, 2), CUTOFF
    found = learnt(open_shop(tiny_shop), early, late).buyers
    expected = {
        day_number(day): len(
            {
                row["customer_id"]
                for row in tiny_shop
                if row["ordered_at"].date() < day and row["amount"] > 0
            }
        )
        for day in (early, late)
    }
    assert found == expected
    assert 0 < found[day_number(early)] < found[day_number(late)]


def test_one_giant_order_hardly_moves_the_usual_one(open_shop, tiny_shop):
    begin = tiny_shop[0]["ordered_at"]
    ordinary = [
        {
            "customer_id": f"c{n}",
            "ordered_at": begin + timedelta(hours=n),
            "amount": 10.0 + n % 30,
        }
        for n in range(600)
    ]
    giant = [*ordinary[:-1], ordinary[-1] | {"amount": 77_183.6}]
    usual, moved = (numbers(open_shop(orders), CUTOFF)[2] for orders in (ordinary, giant))
    assert moved == pytest.approx(usual, rel=0.2)
    assert sum(one["amount"] for one in giant) / 600 > 5 * usual


def test_the_limit_of_a_day_is_three_deviations_above_the_mean_of_the_logarithms(
    open_shop, tiny_shop
):
    """Five days of 20, one of 50, one of 12.50; the return of 50 says nothing."""
    limit = numbers(open_shop(tiny_shop), CUTOFF)[3]
    assert limit == pytest.approx(fence(20, 20, 20, 20, 20, 50, 12.5), rel=1e-9)


def test_where_every_day_brought_the_same_that_is_the_limit(open_shop, tiny_shop):
    begin = tiny_shop[0] | {"amount": 26.89}
    times = [begin["ordered_at"] + timedelta(days=day) for day in range(11)]
    limit = numbers(open_shop([begin | {"ordered_at": at} for at in times]), CUTOFF)[3]
    assert limit == pytest.approx(26.89, rel=1e-9)


def test_orders_of_one_day_are_one_spend_for_the_limit(open_shop, tiny_shop):
    twice = [*tiny_shop, tiny_shop[-1] | {"amount": 7.5}]
    limit = numbers(open_shop(twice), CUTOFF)[3]
    assert limit == pytest.approx(fence(20, 20, 20, 20, 20, 50, 20), rel=1e-9)


def test_where_nobody_came_twice_there_is_no_gap_and_where_nobody_came_nothing(
    open_shop, tiny_shop
):
    tables = open_shop(tiny_shop)
    assert numbers(tables, date(2024, 2, 2)) == [None, None, 20.0, pytest.approx(20.0)]
    assert numbers(tables, date(2024, 1, 1)) == [None] * 4


def test_returns_and_zero_amounts_are_no_orders_of_the_average(open_shop, tiny_shop):
    nothing = {"customer_id": "dora", "ordered_at": tiny_shop[0]["ordered_at"], "amount": 0.0}
    back = nothing | {"amount": -80.0}
    with_nothing = numbers(open_shop([*tiny_shop, nothing, back]), CUTOFF)
    assert with_nothing == pytest.approx(numbers(open_shop(tiny_shop), CUTOFF), rel=1e-12)


def test_nothing_at_or_after_the_cutoff_is_learnt(open_shop, tiny_shop):
    at = tiny_shop[0]["ordered_at"].replace(month=5, day=1, hour=0)
    future = [
        {"customer_id": name, "ordered_at": at + timedelta(days=days), "amount": 9e6}
        for name, days in (("anna", 0), ("anna", 3), ("zoe", 9))
    ]
    told, alone = (open_shop(rows) for rows in ([*tiny_shop, *future], tiny_shop))
    assert numbers(told, CUTOFF) == pytest.approx(numbers(alone, CUTOFF), rel=1e-12)


def test_a_channel_has_the_share_of_the_customers_who_began_in_it(open_shop, tiny_shop):
    """Anna began on the web and went on in the shop; nobody knows where Cleo began."""
    channels = {"anna": "shop", "ben": "app", "cleo": None}
    rows = [row | {"channel": channels[row["customer_id"]]} for row in tiny_shop]
    rows[0] = rows[0] | {"channel": "web"}
    early = date(2024, 2, 10)
    found = learnt(open_shop(rows), early, CUTOFF, texts=["first_channel"])
    assert found.at(day_number(CUTOFF))["shares"] == {"first_channel": {"app": 0.5, "web": 0.5}}
    assert found.at(day_number(early))["shares"] == {"first_channel": {"web": 1.0}}


def test_a_source_has_the_share_of_the_customers_known_by_then(open_shop, as_table, tiny_shop):
    people = as_table(
        {"customer_id": name, "signed_up_at": when, "acquisition_source": source}
        for name, when, source in (
            ("anna", "2024-01-31", "search"),
            ("ben", "2024-03-01", "friend"),
            ("dora", "2024-04-01", "search"),
            ("emil", "2024-04-02", None),
            ("fay", "2024-05-01", "friend"),
        )
    )
    tables = open_shop(tiny_shop, customers=people)
    found = learnt(tables, CUTOFF, texts=["acquisition_source"]).at(day_number(CUTOFF))
    shares = found["shares"]["acquisition_source"]
    assert shares == pytest.approx({"friend": 1 / 3, "search": 2 / 3})


def test_what_is_stated_holds_at_every_cutoff_and_survives_json():
    stated = {**dict.fromkeys(NUMBERS), "population_gap_days": 14.0}
    stated["shares"] = {"first_channel": {"web": 0.25}}
    found = Population.stated([1, 2], json.loads(json.dumps(stated)))
    assert found.at(1) == found.at(2) == stated


def test_each_customer_has_the_share_of_their_text_and_the_numbers_are_floats(
    open_shop, past_of, tiny_shop
):
    channels = {"anna": "web", "ben": "app", "cleo": None}
    tables = open_shop([row | {"channel": channels[row["customer_id"]]} for row in tiny_shop])
    past = past_of(tables, CUTOFF)
    shares = {"first_channel": {"web": 0.75}}
    found = Population({past.moment.day: {"population_gap_days": 2.0}}, {past.moment.day: shares})
    columns = found.columns(past, ["first_channel"])
    assert columns["first_channel_share"].tolist() == pytest.approx(
        [0.75, float("nan"), float("nan")], nan_ok=True
    )
    assert columns["population_gap_days"] == 2.0
    assert isnan(columns["bg_nbd_r"])


def test_a_population_without_one_of_its_numbers_is_refused():
    with pytest.raises(ModelError, match=r"population_gap_days.*Train again"):
        Population.stated([1], dict.fromkeys(NUMBERS[1:]))


def test_further_numbers_stand_beside_those_learnt_before():
    found = Population({1: {"population_gap_days": 2.0}}).extended({1: {"bg_nbd_r": 0.5}})
    both = found.at(1)
    assert (both["population_gap_days"], both["bg_nbd_r"], both["bg_nbd_a"]) == (2.0, 0.5, None)
