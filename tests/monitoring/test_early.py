"""The early check: returners expected and observed, with and without offers in between."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from churn.monitoring.early import EarlyCheck, ReturnCurve, early_check

HORIZON = 28
CUTOFF = date(2017, 11, 1)


def customers(seed, rows, *, level=1.0, cutoff=0):
    """Customers whose probability is right, or whose returns are `level` times as likely.

    Likely returners come earlier, as they do in shops.
    """
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 3, rows)
    back = rng.random(rows) < level * (1 - probability)
    day = np.minimum(rng.geometric(0.04 + 0.2 * (1 - probability)) - 1, HORIZON - 1)
    return pd.DataFrame(
        {
            "cutoff": cutoff,
            "probability": probability,
            "return_day": np.where(back, day, np.nan),
            "contact_day": np.nan,
        }
    )


@pytest.fixture(scope="module")
def curve():
    past = pd.concat([customers(100 + n, 3_000, cutoff=n) for n in range(6)])
    return ReturnCurve.of(past, HORIZON)


def seen(rows, day):
    """The rows as they look on that day of the horizon."""
    return rows.assign(return_day=rows["return_day"].where(rows["return_day"] < day))


def check(curve, rows, day=7, **options):
    return early_check(curve, seen(rows, day), cutoff=CUTOFF, day=day, **options)


def test_the_curve_by_hand():
    """One band: of four returners one was back after a day, three after two."""
    past = pd.DataFrame(
        {"cutoff": 1, "probability": 0.5, "return_day": [0.0, 1.0, 1.0, 2.0, np.nan]}
    )
    found = ReturnCurve.of(past, 3)
    assert found.by(1, np.array([0.9]))[0] == 0.25
    assert [found.by(day, np.array([0.1]))[0] for day in (0, 2, 3)] == [0.0, 0.75, 1.0]
    assert np.isnan(found.spread).all()  # one cutoff says nothing about the variation


def test_the_expected_are_the_sum_over_customers(curve):
    rows = customers(1, 500)
    found = check(curve, rows)
    p = rows["probability"].to_numpy()
    assert found.expected == pytest.approx(((1 - p) * curve.by(7, p)).sum())
    assert found.observed == (rows["return_day"] < 7).sum()


def test_a_right_model_raises_no_alarm_and_its_interval_covers(curve):
    found = [check(curve, customers(run, 2_000), looks=3) for run in range(60)]
    assert sum(one.state == "alarm" for one in found) <= 1
    covered = [abs(one.deviation) <= one.half for one in found]
    assert sum(covered) >= 50


def test_a_level_error_shows_three_weeks_before_the_label(curve):
    found = [check(curve, customers(run, 4_000, level=0.88)) for run in range(10)]
    assert all(one.state == "alarm" and one.deviation < 0 for one in found)
    assert found[0].sentence().startswith("The model expected 1,")
    assert found[0].sentence().endswith("it needs a refit.")


def test_a_small_deviation_is_no_alarm_however_certain(curve):
    found = check(curve, customers(3, 400_000, level=0.975))
    assert found.state == "ok"


def contacted_if_silent(rows, after):
    """Everybody who was not back after some days gets an offer, and comes back the day after."""
    silent = ~(rows["return_day"] < after)
    return rows.assign(
        contact_day=np.where(silent, float(after), np.nan),
        return_day=np.where(silent, after + 1.0, rows["return_day"]),
    )


def test_offers_to_those_who_had_not_returned_neither_hide_nor_feign_a_level(curve):
    """Leaving them out would leave only returners; following them to the end counts the offer."""
    found = [check(curve, contacted_if_silent(customers(run, 4_000), 3)) for run in range(20)]
    assert all(one.censored for one in found)
    assert sum(one.state == "alarm" for one in found) == 0
    assert abs(np.mean([one.deviation for one in found])) < 0.02
    low = [check(curve, contacted_if_silent(customers(run, 4_000, level=0.8), 3)) for run in (1, 2)]
    assert {one.state for one in low} == {"alarm"}


def test_few_expected_returners_are_too_few_to_say(curve):
    found = check(curve, customers(4, 60))
    assert found.state == "too few"
    assert found.sentence().startswith("Too few to say: ")


def test_the_sentence_of_a_shortfall():
    found = EarlyCheck(CUTOFF, 7, 2000, 1330.0, 1204, -0.0947, 0.04, "alarm")
    assert found.sentence() == (
        "The model expected 1,330 returners by now and 1,204 came (\N{MINUS SIGN}9 % ± 4): "
        "it needs a refit."
    )
