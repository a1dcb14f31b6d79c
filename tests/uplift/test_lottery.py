import numpy as np
import pandas as pd
import pytest

from churn.uplift.past_contacts import MOST_STANDARD_ERRORS, lot_gap, lots_that_fit


def contacts(lot: str, sent: int, kept: int, propensity: tuple[float, float]) -> pd.DataFrame:
    offer = ["coupon"] * sent + ["none"] * kept
    chance = [propensity[0]] * sent + [propensity[1]] * kept
    return pd.DataFrame({"lot": lot, "offer_id": offer, "propensity": chance})


def test_a_lot_that_does_what_it_says_is_kept():
    rng = np.random.default_rng(3)
    gaps = [lot_gap(np.full(rng.binomial(500, 0.1), 0.1), 500) for _ in range(300)]
    assert np.mean(np.array(gaps) < 1.96) > 0.9
    assert max(gaps) < MOST_STANDARD_ERRORS


def test_a_lot_that_does_otherwise_is_left_out_and_counted():
    fair, unfair = contacts("a", 52, 48, (0.5, 0.5)), contacts("b", 90, 10, (0.5, 0.5))
    kept, left_out = lots_that_fit(pd.concat([fair, unfair]))
    assert set(kept["lot"]) == {"a"}
    assert left_out == 100


def test_propensities_of_the_arm_in_place_of_the_offer_are_found_out():
    """90 % are treated, half of them with each offer: each has .45, not .9."""
    rows = contacts("a", 450, 100, (0.9, 0.1))
    gifts = rows[:450].assign(offer_id="gift")
    kept, left_out = lots_that_fit(pd.concat([rows, gifts]))
    assert (len(kept), left_out) == (0, 1_000)


def test_no_contacts_are_no_lots():
    kept, left_out = lots_that_fit(contacts("a", 0, 0, (0.5, 0.5)))
    assert (len(kept), left_out) == (0, 0)


def test_the_gap_is_in_standard_errors():
    assert lot_gap(np.full(60, 0.5), 100) == pytest.approx(20 / np.sqrt(60 * 2))
