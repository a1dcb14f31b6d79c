"""A panel that cannot judge is refused with its counts; a doubtful one is reported."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from steady_shop import DAYS, FIRST_DAY, steady_orders

from churn.data.tables import Tables
from churn.errors import GateError
from churn.modeling.dataset import build_dataset
from churn.modeling.feasible import check_feasible, feasibility_notes
from churn.modeling.panel import resolve_panel

END = FIRST_DAY + timedelta(days=DAYS)
CLOCK = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def steady():
    tables = Tables.from_frames(steady_orders(400, seed=1), clock=CLOCK)
    yield tables
    tables.close()


def panel_and_rows(tables, as_of, **settings):
    panel = resolve_panel(tables, as_of, **settings)
    return panel, build_dataset(tables, panel.cutoffs, panel.clock, names=())


def refused(tables, as_of, **settings):
    panel, rows = panel_and_rows(tables, as_of, **settings)
    with pytest.raises(GateError) as failure:
        check_feasible(rows, panel)
    assert failure.value.exit_code == 4
    return str(failure.value)


def test_an_honest_panel_is_feasible_and_nothing_is_said(steady):
    panel, rows = panel_and_rows(steady, END, horizon_days=56)
    check_feasible(rows, panel)
    assert feasibility_notes(steady, rows, panel) == ()


def test_a_horizon_after_the_last_order_is_refused_because_all_lapsed(steady):
    said = refused(steady, END + timedelta(days=40), horizon_days=28)
    assert (
        "some eligible customers at 2023-10-10 must have lapsed and some not, got all of " in said
    )
    assert "Check that no orders are missing up to the end of the data" in said


def test_cutoffs_long_after_the_last_order_are_refused_because_nobody_is_eligible(steady):
    said = refused(steady, END + timedelta(days=110), horizon_days=28)
    assert "there must be eligible customers at the test cutoff 2023-12-05" in said
    assert "got 0 customers who bought in the 56 days before it" in said


def weekly_orders(customers=80, weeks=120):
    """Every customer buys every Monday."""
    days = pd.date_range("2022-01-03", periods=weeks, freq="7D")
    names = [f"c{k:03d}" for k in range(customers)]
    grid = pd.MultiIndex.from_product([days, names], names=["ordered_at", "customer_id"])
    return grid.to_frame(index=False).assign(amount=10.0)


def some_pause(orders):
    """The same, a third of the customers silent for ten weeks before the test cutoffs."""
    silent = orders["customer_id"].isin(sorted(orders["customer_id"].unique())[::3])
    away = orders["ordered_at"].between("2023-10-10", "2023-12-20")
    return orders[~(silent & away)]


def test_test_cutoffs_at_which_nobody_lapsed_are_refused():
    tables = Tables.from_frames(some_pause(weekly_orders()), clock=CLOCK)
    said = refused(tables, tables.end(), horizon_days=28)
    assert "some eligible customers at 2024-03-05 and 2024-03-19 must have lapsed" in said
    assert "got none of 160 lapsed within 28 days" in said


def test_almost_nobody_lapsing_is_reported():
    orders = some_pause(weekly_orders(customers=300))
    gone = (orders["customer_id"] == "c001") & (orders["ordered_at"] > "2024-02-20")
    tables = Tables.from_frames(orders[~gone], clock=CLOCK)
    panel, rows = panel_and_rows(tables, tables.end(), horizon_days=28)
    check_feasible(rows, panel)
    (said,) = feasibility_notes(tables, rows, panel)
    assert said.startswith("almost nobody lapses: 2 of 600 eligible customers at the test cutoffs")


@pytest.mark.parametrize(("horizon", "gap", "word"), [(28, 100.0, "short"), (100, 30.0, "long")])
def test_a_horizon_far_from_the_gaps_between_purchases_is_reported(steady, horizon, gap, word):
    panel, rows = panel_and_rows(steady, END, horizon_days=horizon)
    said = feasibility_notes(steady, rows, replace(panel, gap_quantile_days=gap))
    assert [one for one in said if f"a horizon of {horizon} days is {word} for this shop" in one]


def test_a_stated_horizon_is_compared_with_the_gaps_in_the_data():
    tables = Tables.from_frames(some_pause(weekly_orders()), clock=CLOCK)
    panel, rows = panel_and_rows(tables, tables.end(), horizon_days=91, every_days=30)
    assert panel.gap_quantile_days is None
    said = feasibility_notes(tables, rows, panel)
    assert "80% of repurchases happen within 7 days" in said[-1]
