"""The layers together, on a shop with a model: what is checked when, and what the signal says."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from simulated_shop import AS_OF, shop_dataset, shop_panel, simulated_orders

from churn.analytics.analysis import Analysis
from churn.data.tables import Tables
from churn.modeling.model import ChurnModel
from churn.monitoring.alerts import alerts, prometheus_text
from churn.monitoring.monitor import MonitorOptions, monitor, reference_date
from churn.monitoring.rows import predictions

NOW = datetime(2024, 1, 1, 2, 14, tzinfo=UTC)
TRAINED = shop_panel().blocks.test.dates[0]
USUAL = TRAINED + timedelta(days=28)
"""Four weeks after the training; in the last days of the simulation purchases become fewer."""


@pytest.fixture(scope="module")
def model():
    """Trained as of a date six weeks before the end of the data."""
    known = shop_dataset().before(TRAINED)
    known = replace(known, cutoffs=replace(known.cutoffs, until=TRAINED))
    return ChurnModel(seed=7, rounds=40, threads=1).fit(known)


def monitored(model, orders, as_of, **options) -> Analysis:
    tables = Tables.from_frames(orders, currency="EUR")
    return monitor(model, tables.as_of(as_of), options=MonitorOptions(**options))


@pytest.fixture(scope="module")
def orders():
    return simulated_orders()


@pytest.fixture(scope="module")
def usual(model, orders):
    """The monitoring of a shop that goes on as before."""
    return monitored(model, orders, USUAL, with_gain=False)


def test_a_shop_that_goes_on_as_before_needs_no_refit(usual):
    rows = usual.table("checks").to_pylist()
    assert {row["layer"] for row in rows} == {"data", "early", "backtest", "shift"}
    signal = usual.table("signal").to_pylist()[0]
    assert signal["action"] in ("none", "watch")
    days = [row["day"] for row in usual.table("early").to_pylist()]
    assert days == [7, 14, 21]


def test_the_matured_predictions_are_those_of_dates_after_the_training(usual):
    cutoffs = [row["cutoff"] for row in usual.table("backtest").to_pylist()]
    assert min(cutoffs) >= TRAINED
    assert max(cutoffs) <= USUAL - timedelta(days=28)


def without_half_of_the_returns(orders, since):
    """From that date on every second customer stays away."""
    away = (orders["ordered_at"] >= pd.Timestamp(since)) & orders["customer_id"].str[-1].isin(
        list("02468")
    )
    return orders[~away]


def test_customers_who_stay_away_are_noticed_by_the_early_check_first(model, orders):
    """Ten days after half of them stop coming, before any label of the time has closed."""
    end = TRAINED + timedelta(days=20)
    stopped = without_half_of_the_returns(orders, end - timedelta(days=10))
    before_end = stopped[stopped["ordered_at"] < pd.Timestamp(end)]
    found = monitored(model, before_end, end)
    signal = found.table("signal").to_pylist()[0]
    assert (signal["action"], signal["layer"]) == ("refit", "early")
    assert "and " in signal["text"]
    assert signal["text"].endswith("it needs a refit.")
    assert signal["gain_text"].startswith("What a refit would gain can be known from")


def test_what_a_refit_would_gain_is_estimated_once_labels_have_closed(model, orders):
    found = monitored(model, without_half_of_the_returns(orders, TRAINED), AS_OF)
    signal = found.table("signal").to_pylist()[0]
    assert signal["action"] == "refit"
    assert signal["gain"] > 0
    assert signal["gain_low"] < signal["gain"] < signal["gain_high"]


def test_predictions_of_an_earlier_date_do_not_see_what_came_after(model, orders):
    when = TRAINED + timedelta(days=28)
    whole = predictions(model, Tables.from_frames(orders), [when])
    before = orders[orders["ordered_at"] < pd.Timestamp(when)]
    blind = predictions(model, Tables.from_frames(before), [when])
    pd.testing.assert_frame_equal(whole, blind)


def test_offers_of_the_ledger_are_left_out_or_followed_until_they_came(model, orders):
    tables = Tables.from_frames(orders, currency="EUR")
    cutoff = USUAL - timedelta(days=7)
    planned = [(f"c{n:04d}", cutoff) for n in range(0, 600, 2)]
    options = MonitorOptions(with_gain=False)
    found = monitor(model, tables.as_of(USUAL), planned=planned, options=options)
    early = {row["day"]: row for row in found.table("early").to_pylist()}
    assert early[7]["treated"] > 0
    assert early[7]["censored"] == 0
    assert early[14]["treated"] == 0
    assert early[14]["censored"] > 0


def test_the_same_season_is_the_reference_where_the_history_reaches_back(model, orders):
    tables = Tables.from_frames(orders)
    assert reference_date(model, tables, AS_OF) == AS_OF - timedelta(days=364)
    begun = orders[orders["ordered_at"] >= pd.Timestamp(AS_OF - timedelta(days=380))]
    newest = model.cutoffs_.dates[-1]
    assert reference_date(model, Tables.from_frames(begun), AS_OF) == newest


def test_right_after_a_training_the_notes_say_from_when_on_there_are_labels(model, orders):
    end = TRAINED + timedelta(days=1)
    found = monitored(model, orders[orders["ordered_at"] < pd.Timestamp(end)], end)
    assert "early" not in found.tables
    assert any(str(TRAINED + timedelta(days=28)) in note for note in found.notes)


def test_every_number_of_the_analysis_is_json_and_defined(usual):
    text = json.dumps(usual.to_dict(), default=str, allow_nan=False)
    assert "definitions" in json.loads(text)


def test_alerts_name_what_is_wrong_and_no_customer(model, orders):
    found = monitored(model, without_half_of_the_returns(orders, TRAINED), AS_OF, with_gain=False)
    payload = alerts(found, at=NOW)
    assert payload["type"] == "monitor.alerts"
    assert payload["data"]["signal"]["action"] == "refit"
    assert {row["state"] for row in payload["data"]["alarms"]} == {"alarm"}
    assert "c0" not in json.dumps(payload)


def test_the_metrics_are_in_the_format_of_prometheus(usual):
    from prometheus_client.parser import text_string_to_metric_families

    families = {
        family.name: family
        for family in text_string_to_metric_families(prometheus_text(usual, at=NOW))
    }
    alarms = {
        sample.labels["layer"]: sample.value for sample in families["churn_monitor_alarms"].samples
    }
    assert set(alarms) == {"data", "early", "backtest", "shift"}
    (ran,) = families["churn_monitor_run_timestamp_seconds"].samples
    assert ran.value == NOW.timestamp()
    days = {s.labels["day"] for s in families["churn_monitor_returners_observed"].samples}
    assert days == {"7", "14", "21"}
