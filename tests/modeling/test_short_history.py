"""A shop of the first weeks gets a model, and is told how far it was judged."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from simulated_shop import FIRST_DAY, simulated_orders

from churn.data.tables import Tables
from churn.errors import GateError
from churn.modeling.bundle import load_bundle
from churn.modeling.card import model_card
from churn.modeling.gate import PROVISIONAL
from churn.modeling.model import ChurnModel
from churn.modeling.panel import resolve_panel
from churn.modeling.portable import bg_nbd_no_purchase
from churn.modeling.training import train_model

RECIPE = ChurnModel(seed=7, rounds=15, threads=1)
NAMES = (
    *("recency_days", "purchase_days", "tenure_days", "average_basket", "orders_count"),
    *("expected_gap_days", "active_window_share", "net_spend", "net_spend_three_horizons"),
    *("expected_purchase_days", "expected_spend_in_horizon", "p_no_purchase_in_horizon"),
)


def shop(days):
    orders = simulated_orders(400, memoryless=True, seed=2)
    return Tables.from_frames(orders, currency="EUR"), FIRST_DAY + timedelta(days=days)


@pytest.fixture(scope="module")
def weeks():
    """92 days of orders, a horizon of 28: trained in short."""
    tables, as_of = shop(92)
    panel = resolve_panel(tables, as_of, horizon_days=28)
    yield train_model(RECIPE, tables, panel, names=NAMES)
    tables.close()


@pytest.fixture(scope="module")
def first_days():
    """50 days of orders, a horizon of 28: no label window has closed."""
    tables, as_of = shop(50)
    panel = resolve_panel(tables, as_of, horizon_days=28)
    yield train_model(RECIPE, tables, panel, names=NAMES)
    tables.close()


@pytest.mark.parametrize(("days", "horizon"), [(21, 28), (50, 28), (92, 28), (150, 28), (365, 181)])
def test_no_history_of_three_weeks_or_more_is_refused(days, horizon):
    tables, as_of = shop(days)
    panel = resolve_panel(tables, as_of, horizon_days=horizon)
    trial = panel.trial
    assert trial is not None
    assert panel.clock.horizon_days == horizon
    assert all(
        FIRST_DAY + timedelta(days=horizon) <= cutoff <= as_of - timedelta(days=horizon)
        for cutoff in panel.cutoffs
    )
    assert trial.clock.horizon_days == min(horizon, days // 3)
    (test,) = trial.blocks.test
    assert test == as_of - timedelta(days=trial.clock.horizon_days)
    assert len(trial.development) >= 1
    tables.close()


def test_landmarks_are_a_quarter_of_the_horizon_apart_and_overlap():
    tables, as_of = shop(92)
    dates = resolve_panel(tables, as_of, horizon_days=28).cutoffs.dates
    assert {b - a for a, b in pairwise(dates)} == {timedelta(days=7)}
    assert dates[-1] == as_of - timedelta(days=28)
    assert dates[0] < FIRST_DAY + timedelta(days=28 + 7)


def test_from_five_and_a_half_horizons_on_the_gate_decides():
    tables, as_of = shop(154)
    assert resolve_panel(tables, as_of, horizon_days=28).trial is None
    assert resolve_panel(tables, as_of - timedelta(days=1), horizon_days=28).trial is not None


def test_less_than_three_weeks_of_orders_are_refused():
    tables, as_of = shop(20)
    with pytest.raises(GateError, match=r"at least 21 days of orders, got 20\. Pass a longer"):
        resolve_panel(tables, as_of, horizon_days=28)


def test_settings_that_leave_too_few_cutoffs_of_a_long_history_are_refused_as_before():
    tables, as_of = shop(400)
    with pytest.raises(GateError, match="a smaller every_days"):
        resolve_panel(tables, as_of, horizon_days=28, count=3)


def test_a_provisional_judgement_decides_nothing_but_leaks(weeks):
    """In a memoryless shop nothing beats the baselines."""
    checks = {check.name: check for check in weeks.gate.checks}
    assert not checks["rules"].passed
    assert {name for name, check in checks.items() if check.decides} == {"leaks"}
    assert weeks.gate.open
    assert weeks.gate.reasons == (PROVISIONAL,)


def test_both_figures_are_shown_with_what_they_are(weeks):
    card = model_card(weeks, model_id="m-1", currency="EUR")
    assert "**Judged provisionally.**" in card
    assert "one cutoff with a horizon of 28 days" in card
    assert f"Customers apart, time not tested: at {weeks.apart.cutoff} with 28 days" in card
    assert len(weeks.evaluation.cutoffs) == 1


def test_customers_apart_are_predicted_by_the_other_half(weeks):
    apart = weeks.apart
    newest = weeks.dataset.rows[weeks.dataset.rows["cutoff"] == weeks.dataset.rows["cutoff"].max()]
    assert apart.rows == (newest["status"] == "eligible").sum()
    assert apart.difference.estimate == pytest.approx(apart.log_loss - apart.bg_nbd_log_loss)


def test_without_a_closed_label_bg_nbd_speaks_alone(first_days):
    model, rows = first_days.model, first_days.dataset.current
    assert model.stand_in == "bg_nbd"
    assert model.heads_ == {}
    eligible = rows[rows["status"] == "eligible"]
    said = model.predict_frame(eligible[["customer_id", "status", *NAMES]])
    spec = model.baselines_["bg_nbd"]
    expected = bg_nbd_no_purchase(spec["bg_nbd"], 28, eligible)
    np.testing.assert_allclose(said["churn_probability"], expected, atol=1e-12)
    assert set(said["probability_source"]) == {"stand_in:bg_nbd"}
    np.testing.assert_allclose(said["decline_probability"], said["churn_probability"])
    days = model.amounts_["orders_per_day"] * eligible["expected_purchase_days"].sum()
    assert said["expected_orders"].sum() == pytest.approx(days, rel=1e-3)
    assert first_days.apart is None


def test_it_predicts_everyone_and_survives_a_bundle(first_days, tmp_path):
    rows = first_days.dataset.current.drop(columns=["cutoff"])[["customer_id", "status", *NAMES]]
    new = rows.head(1).assign(status="new", **dict.fromkeys(NAMES, np.nan))
    rows = pd.concat([rows, new], ignore_index=True)
    said = first_days.model.predict_frame(rows)
    assert said["churn_probability"].between(0, 1).all()
    first_days.model.save(tmp_path / "m-1")
    again = load_bundle(tmp_path / "m-1").predict_frame(rows)
    pd.testing.assert_frame_equal(again, said)
    assert load_bundle(tmp_path / "m-1").stand_in == "bg_nbd"


def test_a_trial_is_a_forward_test_of_the_longest_horizon(first_days):
    trial = first_days.panel.trial
    assert trial.clock.horizon_days == 16
    assert first_days.evaluation.cutoffs == (str(trial.blocks.test.dates[0]),)
    assert first_days.panel.to_dict()["test_horizon_days"] == 16
    card = model_card(first_days, model_id="m-1", currency="EUR")
    assert "no label window of 28 days has closed" in card


def test_a_champion_that_passed_the_full_gate_is_not_replaced(weeks):
    closed = weeks.gate.kept_by("churn-1")
    assert not closed.open
    assert closed.reasons[0].startswith("the champion churn-1 passed the full gate")
    assert closed.stand_in("churn-1", stands_in=False) is None
