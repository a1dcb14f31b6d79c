"""Segments, journey, signals and feedback as commands: one file of bounds, lists, a worklist."""

import json
from datetime import timedelta

import pandas as pd
import pyarrow.csv as pa_csv
import pytest
from simulated_shop import AS_OF, copied_shop, open_shop, simulated_orders

from churn.commands.feedback import feedback
from churn.commands.journey import journey
from churn.commands.metrics import metrics
from churn.commands.plan import plan
from churn.commands.segments import segments
from churn.commands.signals import signals
from churn.errors import ConfigError, DataError
from churn.storage.ledger import Ledger

EARLIER = str(AS_OF - timedelta(days=200))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A shop whose segments were frozen 200 days ago, and the result of that run."""
    config = open_shop(tmp_path_factory.mktemp("frozen") / "shop")
    return config, segments(config, as_of=EARLIER)


@pytest.fixture
def shop(frozen, tmp_path):
    return copied_shop(frozen[0], tmp_path / "shop")


def bounds_of(shop):
    return json.loads(shop.with_name("segments.json").read_text())["bounds"]


def test_bounds_are_learnt_once_and_applied_at_every_later_date(shop, frozen):
    first = frozen[1]
    written = bounds_of(shop)
    assert written["learnt_as_of"] == EARLIER
    later = segments(shop)
    assert bounds_of(shop) == written
    assert later.resolved["bounds"] == written == first.resolved["bounds"]
    assert later.rows["segments"] == 7


def test_a_refit_raises_the_version_and_records_the_crosswalk(shop):
    result = segments(shop, refit=True)
    assert bounds_of(shop)["version"] == 2
    customers = sum(row["customers"] for row in result.metrics["segments"])
    crosswalk = result.resolved["crosswalk"]
    assert sum(sum(row.values()) for row in crosswalk.values()) == customers
    assert "because of the refit" in result.warnings[-1]
    with Ledger(shop.with_name("ledger.db")) as ledger:
        facts = ledger.run(result.run_id).facts
    assert facts["crosswalk"] == crosswalk
    assert facts["segments"]["bounds"]["version"] == 2


def test_a_damaged_file_of_bounds_stops_the_run(shop):
    shop.with_name("segments.json").write_text("{")
    with pytest.raises(DataError, match=r"segments.json must be as churn wrote it.*Restore"):
        segments(shop)


def test_customers_of_a_segment_are_written_with_the_cell(shop, tmp_path):
    result = segments(shop)
    counts = {row["segment"]: row["customers"] for row in result.metrics["segments"]}
    out = tmp_path / "best.csv"
    segments(shop, customers="customers,segment=best", out=out)
    rows = pa_csv.read_csv(out)
    assert rows.num_rows == counts["best"] > 0
    assert set(rows["cell"].to_pylist()) == {"customers,segment=best"}


def test_metrics_by_segment_use_the_frozen_bounds_or_freeze_them_and_say_so(shop, tmp_path):
    frozen = bounds_of(shop)
    result = metrics(shop, by=["segment"])
    assert result.metrics["resolved"]["segment_bounds"] == frozen == bounds_of(shop)
    rows = [row for row in result.metrics["periods"] if row["split"] == "segment"]
    last = max(row["period"] for row in rows if not row["is_partial"])
    (loyal,) = (row for row in rows if (row["period"], row["value"]) == (last, "loyal"))
    cell = f"active_at_start,period={last},segment=loyal"
    listed = metrics(shop, customers=cell, out=tmp_path / "loyal.csv")
    assert listed.rows["customers"] == loyal["active_at_start"] > 0
    assert not any("learnt" in note for note in result.warnings)

    shop.with_name("segments.json").unlink()
    with pytest.raises(ConfigError, match="once the segments are frozen"):
        metrics(shop, customers=cell, out=tmp_path / "loyal.csv")
    assert any("frozen in segments.json" in note for note in metrics(shop, by=["segment"]).warnings)
    assert bounds_of(shop)["learnt_as_of"] == str(AS_OF)


def test_an_earlier_date_must_be_earlier(shop):
    for command in (segments, journey):
        with pytest.raises(ConfigError, match="since must be before"):
            command(shop, since=str(AS_OF))
    with pytest.raises(ConfigError, match="--customers writes a list and needs --out"):
        journey(shop, customers="stage,stage=lapsed")


def test_journey_and_signals_write_their_tables(shop, tmp_path):
    moved = journey(shop, out=tmp_path / "journey.csv")
    rows = pd.read_csv(tmp_path / "journey.csv")
    assert rows["customers"].sum() == sum(one["customers"] for one in moved.metrics["transitions"])
    assert moved.metrics["definitions"]["median_days"]["unit"] == "days"
    looks = signals(shop, out=tmp_path / "signals.parquet", active_days=90)
    assert looks.metrics["looks"][0]["split"] == "everyone"
    assert looks.resolved["active_days"] == 90


def with_surveys(shop):
    orders = simulated_orders()
    last = orders.groupby("customer_id")["ordered_at"].max().sort_values().tail(60)
    pd.DataFrame(
        {
            "customer_id": last.index,
            "surveyed_at": pd.Timestamp(AS_OF, tz="UTC") - pd.Timedelta("5D"),
            "score": [0, 9, 10] * 20,
        }
    ).to_csv(shop.with_name("surveys.csv"), index=False)
    text = shop.read_text() + '\n[data.surveys]\nsource = "surveys.csv"\n'
    shop.write_text(text.replace("[data]\n", "[data]\nleast_match = 0.01\n"))
    return shop


def test_feedback_writes_the_worklist(shop, tmp_path):
    out = tmp_path / "worklist.csv"
    result = feedback(with_surveys(shop), out=out)
    rows = pd.read_csv(out)
    assert len(rows) == 20
    assert rows["value"].is_monotonic_decreasing
    (nps,) = result.metrics["scores"]
    assert nps["score"] == pytest.approx(100 / 3)


def test_a_worklist_that_is_no_file_is_refused(shop, tmp_path):
    with pytest.raises(ConfigError, match="--worklist must be an existing"):
        plan(shop, out=tmp_path / "plan.csv", worklist=tmp_path / "missing.csv")
