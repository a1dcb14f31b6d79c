"""A check shows the audit and the feasibility, and records only its own run."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import open_shop, simulated_orders

from churn.campaigns.measurement.power import smallest_detectable_effect
from churn.commands.check import check
from churn.storage.ledger import Ledger


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return open_shop(tmp_path_factory.mktemp("check") / "shop")


def test_a_feasible_training_is_shown_with_its_figures(shop):
    result = check(shop)
    assert result.exit_code == 0
    assert result.rows == {"orders": len(simulated_orders())}
    assert result.resolved["horizon_days"] == 28
    feasible = dict(next(rows for title, _, rows in result.tables if title == "Training"))
    assert feasible["usable cutoffs"].startswith("8, ")
    assert feasible["training, calibration, test"] == "3, 1, 2 cutoffs"
    assert "of which" in feasible["eligible at the newest cutoff"]
    assert " points of the lapse rate of " in feasible["minimum detectable effect, 10% holdout"]
    assert result.warnings == ()


def test_orders_are_listed_by_month_as_table_and_json(shop):
    result = check(shop)
    months = next(rows for title, _, rows in result.tables if title == "Orders by month, EUR")
    assert months[-1][:2] == ("all", f"{result.metrics['overview']['total']['orders']:,}")
    assert [line[0] for line in months[:-1]] == [
        month["month"] for month in result.metrics["overview"]["months"]
    ]
    facts = dict(next(rows for title, _, rows in result.tables if title == "Overview"))
    assert "of orders" in facts["largest customer"]


def test_a_check_writes_no_files_but_the_ledger(shop):
    check(shop)
    assert {
        path.name
        for path in shop.parent.iterdir()
        if not path.name.lstrip(".").startswith("ledger")
    } == {
        "churn.toml",
        "offers.toml",
        "orders.parquet",
    }


@pytest.mark.parametrize("rows", [0, 1])
def test_too_little_data_is_a_warning_rather_than_an_error(tmp_path, rows):
    config = open_shop(tmp_path / "shop", simulated_orders(3).head(rows))
    result = check(config)
    assert result.exit_code == 0
    assert result.warnings[0].startswith("training is not feasible yet: a")
    assert result.rows == {"orders": rows}


def test_dropped_rows_are_counted_by_their_reason(tmp_path):
    orders = simulated_orders()
    broken = pd.concat([orders, orders.head(3).assign(customer_id=None)])
    result = check(open_shop(tmp_path / "shop", broken))
    assert sum(result.dropped["orders"].values()) == 3
    lines = next(rows for title, _, rows in result.tables if title == "Tables")
    assert [line[2] for line in lines] == [f"{len(orders):,}", "-3"]


def test_the_run_is_on_record_even_without_data(tmp_path):
    config = open_shop(tmp_path / "shop", simulated_orders(3).head(0))
    result = check(config)
    with Ledger(config.parent / "ledger.db") as ledger:
        (run,) = ledger.runs("check")
    assert (run.run_id, run.status) == (result.run_id, "done")


rates = st.floats(0.01, 0.99)


@given(rates, st.integers(20, 10**6), st.floats(0.05, 0.5))
def test_more_customers_or_a_larger_holdout_show_smaller_effects(rate, customers, holdout):
    found = smallest_detectable_effect(rate, customers, holdout=holdout)
    assert found > 0
    assert smallest_detectable_effect(rate, 4 * customers, holdout=holdout) < found
    assert smallest_detectable_effect(rate, customers, holdout=holdout * 0.9) > found


@pytest.mark.parametrize(("customers", "holdout"), [(0, 0.1), (100, 0.0), (100, 1.0)])
def test_without_both_outcomes_the_detectable_effect_is_undefined(customers, holdout):
    assert smallest_detectable_effect(0.1, customers, holdout=holdout) == float("inf")
