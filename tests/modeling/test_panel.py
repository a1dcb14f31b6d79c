"""The panel: lengths that the data itself suggests, and blocks whose labels never overlap."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import AS_OF, FIRST_DAY, shop_tables, simulated_orders
from subscription_shop import AS_OF as SUBSCRIBED_AS_OF
from subscription_shop import simulated_subscriptions

from churn.config import load_tables
from churn.data.cutoffs import Cutoffs
from churn.data.tables import Tables
from churn.errors import GateError
from churn.modeling.panel import HORIZONS_DAYS, blocks, resolve_panel

ROOT = Path(__file__).parents[2]
CDNOW = ROOT / "../shared/data/cdnow_sample/cdnow_sample.parquet"
COMPLETE_JOURNEY = ROOT / "data/complete_journey/order_lines.parquet"


@st.composite
def some_cutoffs(draw):
    """Any cutoffs at all, a lead, an arrival lag and a grace included."""
    first = date(2020, 1, 1)
    dates = sorted(first + timedelta(days=day) for day in draw(st.sets(st.integers(0, 400))))
    horizon, lead, lag = draw(st.integers(1, 90)), draw(st.integers(0, 20)), draw(st.integers(0, 9))
    grace = draw(st.integers(0, 9))
    end = max(dates, default=first) + timedelta(days=horizon + lead + lag + grace)
    return Cutoffs(tuple(dates), horizon, end, lead, lag, grace)


@given(some_cutoffs())
def test_what_one_block_learns_from_is_over_and_known_before_the_next_begins(cutoffs):
    found = blocks(cutoffs)
    for earlier, later in ((found.train, found.calibrate), (found.calibrate, found.test)):
        for cutoff in earlier:
            matured = cutoffs.label_end(cutoff) + timedelta(days=cutoffs.arrival_lag_days)
            assert all(matured <= other for other in later)


@given(some_cutoffs())
def test_blocks_hold_the_newest_cutoffs_that_are_admissible(cutoffs):
    found = blocks(cutoffs)
    assert found.test.dates == cutoffs.dates[-2:]
    known = [*found.train, *found.calibrate, *found.test]
    assert known == sorted(set(known))
    assert set(known) <= set(cutoffs)


def test_auto_spacing_is_half_a_horizon_and_auto_lookback_two():
    panel = resolve_panel(shop_tables(), AS_OF, horizon_days=56, count=8)
    assert {b - a for a, b in pairs(panel.cutoffs)} == {timedelta(days=28)}
    assert panel.cutoffs.dates[-1] == AS_OF - timedelta(days=56)
    assert (panel.clock.horizon_days, panel.clock.lookback_days) == (56, 112)


def test_what_is_set_is_taken_as_it_is():
    panel = resolve_panel(
        shop_tables(),
        AS_OF,
        horizon_days=30,
        lookback_days=45,
        min_tenure_days=9,
        lead_days=3,
        every_days=20,
        count=9,
    )
    clock = panel.clock
    assert (clock.horizon_days, clock.lookback_days, clock.min_tenure_days) == (30, 45, 9)
    assert len(panel.cutoffs) == 9
    assert {b - a for a, b in pairs(panel.cutoffs)} == {timedelta(days=20)}
    assert panel.cutoffs.dates[-1] == AS_OF - timedelta(days=33)
    assert panel.gap_quantile_days is None


def test_no_cutoff_lies_within_a_horizon_of_the_first_order():
    panel = resolve_panel(shop_tables(), AS_OF, horizon_days=28, count=1_000)
    assert panel.cutoffs.dates[0] >= FIRST_DAY + timedelta(days=28)
    assert panel.cutoffs.dates[0] < FIRST_DAY + timedelta(days=28 + 14)


def test_the_auto_horizon_covers_the_usual_gap_and_looks_only_before_the_test_cutoffs():
    """What happens from the first test cutoff on moves neither horizon nor quantile."""
    panel = resolve_panel(shop_tables(), AS_OF)
    assert panel.clock.horizon_days >= panel.gap_quantile_days
    smaller = [h for h in HORIZONS_DAYS if h < panel.clock.horizon_days]
    assert all(h < panel.gap_quantile_days for h in smaller)
    orders = simulated_orders()
    test_begins = pd.Timestamp(panel.blocks.test.dates[0])
    future = orders["ordered_at"] >= test_begins
    last = orders["ordered_at"].max()
    changed = orders[~future | (orders["ordered_at"] == last)]
    again = resolve_panel(Tables.from_frames(changed, currency="EUR"), AS_OF)
    assert again.to_dict() == panel.to_dict()
    assert again.gap_quantile_days == panel.gap_quantile_days


def test_the_development_cutoffs_are_closed_before_the_first_test_cutoff():
    panel = resolve_panel(shop_tables(), AS_OF, horizon_days=28)
    first_test = panel.blocks.test.dates[0]
    assert {*panel.blocks.train, *panel.blocks.calibrate} <= set(panel.development)
    assert all(panel.cutoffs.label_end(cutoff) <= first_test for cutoff in panel.development)


def test_too_short_a_history_is_refused_with_what_it_would_yield():
    tables = Tables.from_frames(simulated_orders(40, days=100, memoryless=True))
    with pytest.raises(
        GateError,
        match=r"3 training, 1 calibration and 2 test cutoffs whose labels do not overlap, got "
        r"0, 1 and 2 from \d+ days of orders with a horizon of 28 days\. Pass a longer history",
    ):
        resolve_panel(tables, tables.end(), complete=True)


def test_too_long_a_horizon_is_refused_with_what_it_would_yield():
    with pytest.raises(GateError, match=r"got 0, 1 and 2 from 729 days.*a horizon of 180 days"):
        resolve_panel(shop_tables(), AS_OF, horizon_days=180, complete=True)


@pytest.mark.skipif(not COMPLETE_JOURNEY.exists(), reason="needs `churn example`'s data")
def test_the_complete_journey_buys_again_within_21_days_so_the_horizon_is_28():
    tables = load_tables(ROOT / "churn.toml")
    panel = resolve_panel(tables, date(2017, 12, 3))
    tables.engine.close()
    assert panel.gap_quantile_days == 21
    assert (panel.clock.horizon_days, panel.clock.lookback_days) == (28, 56)
    assert len(panel.cutoffs) == 13
    assert panel.cutoffs.dates[-1] == date(2017, 11, 5)


@pytest.mark.skipif(not CDNOW.exists(), reason="needs the CDNOW sample in ../shared/data")
def test_the_length_of_cdnow_decides_for_its_curve_never_reaches_80_percent():
    orders = pd.read_parquet(CDNOW)
    tables = Tables.from_frames(orders, columns={"ordered_at": "date"})
    panel = resolve_panel(tables, tables.end())
    assert panel.gap_quantile_days == float("inf")
    assert panel.to_dict()["gap_quantile_days"] is None
    longer = HORIZONS_DAYS[HORIZONS_DAYS.index(panel.clock.horizon_days) + 1]
    with pytest.raises(GateError, match=f"a horizon of {longer} days"):
        resolve_panel(tables, tables.end(), horizon_days=longer, complete=True)


def pairs(cutoffs):
    return zip(cutoffs.dates[:-1], cutoffs.dates[1:], strict=True)


def test_in_the_contractual_mode_auto_is_the_renewals_of_four_weeks_and_grace_lets_labels_wait():
    panel = resolve_panel(shop_tables(), AS_OF, mode="contractual", grace_days=7, lead_days=2)
    assert (panel.clock.horizon_days, panel.clock.lookback_days) == (28, 56)
    assert (panel.clock.mode, panel.clock.lead_days, panel.cutoffs.grace_days) == (
        "contractual",
        2,
        7,
    )
    assert panel.cutoffs.dates[-1] == AS_OF - timedelta(days=28 + 2 + 7)
    assert panel.gap_quantile_days is None


def test_in_the_mode_of_purchases_there_is_no_grace():
    panel = resolve_panel(shop_tables(), AS_OF, horizon_days=28, grace_days=7, count=8)
    assert panel.cutoffs.grace_days == 0
    assert panel.cutoffs.dates[-1] == AS_OF - timedelta(days=28)


def late_terms(days, engine):
    """The shop of subscriptions whose terms are loaded so many days after they began, and once
    more, unchanged, when they expire.
    """
    orders, terms = simulated_subscriptions()
    first = terms.assign(loaded_at=terms["started_at"] + pd.Timedelta(days=days))
    again = terms.assign(loaded_at=terms["expires_at"])
    return Tables.from_frames(orders, subscriptions=pd.concat([first, again]), engine=engine)


@pytest.mark.parametrize(("days", "engine"), [(0, "duckdb"), (4, "duckdb"), (4, "polars")])
def test_a_label_of_subscriptions_waits_for_terms_that_come_late(days, engine):
    until, mode = date.fromisoformat(SUBSCRIBED_AS_OF), "contractual"
    tables = late_terms(days, engine)
    assert (tables.arrival_lag_days(), tables.term_lag_days()) == (0, days)
    panel = resolve_panel(tables, until, horizon_days=28, mode=mode, grace_days=5)
    assert panel.cutoffs.dates[-1] == until - timedelta(days=28 + 5 + days)
    assert resolve_panel(tables, until, horizon_days=28).cutoffs.arrival_lag_days == 0
