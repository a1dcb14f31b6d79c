"""Segments, journey, signals and feedback from Python."""

from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

import churn
from churn.errors import ConfigError

CLOCK = churn.FeatureClock(horizon_days=14, lookback_days=28)


def test_segments_are_frozen_and_applied_to_a_later_date(open_shop, tiny_shop):
    tables = open_shop(tiny_shop)
    first, frozen = churn.segments(tables, CLOCK, as_of="2024-04-02")
    later, same = churn.segments(tables, CLOCK, frozen=frozen)
    assert (first.as_of, same.bounds) == (date(2024, 4, 2), frozen.bounds)
    assert later.table().num_rows == 7
    moved = churn.journey(tables, CLOCK, frozen=frozen)
    assert moved.table()["customers"].to_numpy().sum() == 3


def test_the_earlier_date_must_be_earlier(open_shop, tiny_shop):
    with pytest.raises(ConfigError, match="since must be before 2024-04-02"):
        churn.segments(open_shop(tiny_shop), CLOCK, as_of="2024-04-02", since="2024-04-02")


def test_feedback_reads_the_value_at_risk_of_scores(open_shop, tiny_shop):
    at = pd.Timestamp("2024-04-10", tz="UTC")
    surveys = pd.DataFrame(
        {"customer_id": ["anna", "ben"], "surveyed_at": [at, at], "score": [0, 6]}
    )
    scores = pa.table({"customer_id": ["anna", "ben"], "value_at_risk": [1.0, 2.0]})
    found = churn.feedback(open_shop(tiny_shop, surveys=surveys), active_days=28, scores=scores)
    assert found.table()["customer_id"].to_pylist() == ["ben", "anna"]
