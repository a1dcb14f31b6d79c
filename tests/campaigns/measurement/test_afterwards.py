"""A second window after a campaign: what was only pulled forward is missing there."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

import churn
from churn.campaigns.measurement.afterwards import measure_afterwards
from churn.campaigns.measurement.analysis import analyse
from churn.campaigns.measurement.money import money_of
from churn.campaigns.measurement.rows import measured_rows

BEGIN, DAYS, CUSTOMERS = date(2024, 3, 1), 28, 3_000
OFFERS = """
[campaign]
id = "spring"
[[offers]]
offer_id = "coupon"
name = "coupon"
kind = "discount"
channel = "email"
margin_cost = 2.0
contact_cost = 0.1
redemption_rate = 0.2
effect = 0.05
effect_low = 0.0
effect_high = 0.1
cooldown_days = 28
expires_after_days = 14
"""


def planned():
    """A plan of one offer for everybody; every third customer was held out."""
    kept = np.arange(CUSTOMERS) % 3 == 0
    return pd.DataFrame(
        {
            "customer_id": [f"c{number:04d}" for number in range(CUSTOMERS)],
            "campaign_id": "spring",
            "as_of": BEGIN,
            "offer_id": np.where(kept, "none", "coupon"),
            "intended_offer_id": "coupon",
            "arm": np.where(kept, "holdout", "treatment"),
            "propensity": np.where(kept, 1 / 3, 2 / 3),
            "expected_cost": np.where(kept, 0.0, 0.5),
        }
    )


def tables_of(first, then, *, redeemed=(), loaded=None):
    """A shop in which `first` of the treated, and `then` of them afterwards, order more often than
    the controls, of whom three tenths order in either window.
    """
    rng, plan = np.random.default_rng(5), planned()
    treated = plan["arm"] == "treatment"
    parts = [
        pd.DataFrame({"customer_id": plan["customer_id"], "day": -10}),
        pd.DataFrame({"customer_id": ["newcomer"], "day": [3 * DAYS]}),
    ]
    for window, more in enumerate((first, then)):
        orders = rng.random(CUSTOMERS) < 0.3 + more * treated
        day = window * DAYS + rng.integers(0, DAYS, CUSTOMERS)
        parts.append(pd.DataFrame({"customer_id": plan["customer_id"], "day": day})[orders])
    orders = pd.concat(parts, ignore_index=True)
    at = pd.Timestamp(BEGIN) + pd.to_timedelta(orders.pop("day"), "D")
    orders = orders.assign(ordered_at=at, amount=20.0)
    if loaded is not None:
        orders = orders.assign(loaded_at=at + pd.Timedelta(days=loaded))
    more = {}
    if len(redeemed):
        noted = pd.DataFrame({"customer_id": redeemed, "redeemed_at": pd.Timestamp(BEGIN)})
        more["redemptions"] = noted.assign(campaign_id="spring", offer_id="coupon")
    return churn.Tables.from_frames(orders, **more)


def of(tables, as_of):
    with TemporaryDirectory() as folder:
        (Path(folder) / "offers.toml").write_text(OFFERS)
        offers = churn.Offers.load(Path(folder) / "offers.toml")
    snapshot = tables.as_of(as_of)
    measured = measured_rows(planned(), snapshot, offers, horizon_days=DAYS, margin_rate=0.5)
    analysis = analyse(measured, {"holdout": 1 / 3})
    return measured, analysis, measure_afterwards(measured, analysis, snapshot, margin_rate=0.5)


LATER = BEGIN + timedelta(days=2 * DAYS)


def test_orders_that_were_pulled_forward_are_paid_back_and_told():
    _, _, later = of(tables_of(0.15, -0.15), LATER)
    assert later.was_pulled_forward
    orders, margin = later.effects["orders"], later.effects["margin"]
    assert [effect.verdict for effect in orders.values()] == ["more", "less", "too small to tell"]
    assert margin["within"].plain.estimate == pytest.approx(10 * orders["within"].plain.estimate)
    low, high = orders["both"].plain.interval()
    assert low < 0 < high


def test_a_gain_that_lasts_is_not_called_pulled_forward():
    _, _, later = of(tables_of(0.15, 0.0), LATER)
    assert not later.was_pulled_forward
    assert later.effects["orders"]["both"].verdict == "more"


def test_the_first_window_is_the_one_measured_and_both_are_the_sum():
    _, analysis, later = of(tables_of(0.1, 0.05), LATER)
    for name, spans in later.effects.items():
        assert spans["within"].plain.estimate == analysis.effects[name].plain.estimate
        assert spans["within"].plain.interval() == analysis.effects[name].plain.interval()
        parts = spans["within"].plain.estimate + spans["afterwards"].plain.estimate
        assert spans["both"].plain.estimate == pytest.approx(parts, abs=1e-12)


def test_no_shop_without_an_effect_is_often_called_pulled_forward():
    """Of 40 shops without any effect, each called so by chance with 2.5 % at most."""
    rng, tables = np.random.default_rng(1), tables_of(0.0, 0.0)
    measured, _, _ = of(tables, LATER)
    called = 0
    for _ in range(40):
        measured.frame["kept"] = rng.permutation(measured.frame["kept"].to_numpy())
        analysis = analyse(measured, {"holdout": 1 / 3})
        later = measure_afterwards(measured, analysis, tables.as_of(LATER), margin_rate=0.5)
        called += later.was_pulled_forward
    assert called <= 4


def test_before_the_second_window_is_over_its_date_is_named():
    tables = tables_of(0.1, 0.1)
    _, _, later = of(tables, LATER - timedelta(days=1))
    assert not later.effects
    assert not later.was_pulled_forward
    assert later.to_dict() == {
        **{"days": DAYS, "closes": str(LATER), "known_from": str(LATER), "effects": {}}
    }


def test_late_orders_are_waited_for_in_the_second_window_too():
    tables = tables_of(0.1, 0.1, loaded=3)
    lag = tables.arrival_lag_days()
    assert lag >= 3
    assert not of(tables, LATER + timedelta(days=lag - 1))[2].effects
    assert of(tables, LATER + timedelta(days=lag))[2].effects


@pytest.mark.parametrize(("first", "anyway"), [(0.0, 1.0), (0.3, 0.4)])
def test_redemptions_beyond_the_additional_orders_were_anyway(first, anyway):
    """1,000 redeem: with no additional order all of them would have ordered without, and with .3
    additional orders of each of 2,000 treated customers about 400 would have.
    """
    plan = planned()
    redeemed = plan.loc[plan["arm"] == "treatment", "customer_id"].head(1_000)
    measured, analysis, _ = of(tables_of(first, 0.0, redeemed=redeemed.array), LATER)
    money = money_of(measured, analysis)
    low, cost, high = (money[f"redeemed_anyway{end}"] for end in ("_low", "", "_high"))
    assert money["redemption_cost"] == Decimal("2000.0000")
    assert low <= cost <= high <= Decimal("2000.00")
    assert float(cost) == pytest.approx(2_000 * anyway, abs=250)  # three standard errors
    effect = analysis.effects["orders"]
    assert float(cost) == pytest.approx(
        2_000 * min(1 - effect.plain.estimate * effect.treated_customers / 1_000, 1), abs=0.01
    )


def test_without_redemptions_nothing_is_said_of_orders_placed_anyway():
    measured, analysis, _ = of(tables_of(0.1, 0.0), LATER)
    money = money_of(measured, analysis)
    assert {money[f"redeemed_anyway{end}"] for end in ("_low", "", "_high")} == {None}


def test_groups_that_cannot_be_compared_have_no_second_window():
    tables = tables_of(0.1, 0.0)
    measured, analysis, _ = of(tables, LATER)
    measured.frame["kept"] = False
    nothing = analyse(measured, {"holdout": 1 / 3})
    assert not nothing.effects
    later = measure_afterwards(measured, nothing, tables.as_of(LATER), margin_rate=0.5)
    assert not later.effects
    assert analysis.effects
