"""Scores of histories that come by HTTP are those of the batch to the last bit."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from simulated_shop import shop_model

from churn.data.tables import Tables
from churn.features.histories import History
from churn.features.population import NUMBERS
from churn.modeling.portable import OUTPUTS
from churn.scoring.score import score_snapshot
from churn.serving.api.batching import Rounds
from churn.serving.api.champion import LoadedModel
from churn.serving.api.problems import ProblemError
from churn.serving.api.schemas import FIRST, LAST, HistoryRequest
from churn.serving.api.scoring import (
    Explaining,
    FeatureTask,
    HistoryTask,
    score_histories,
    score_rows,
)

AS_OF = date(2024, 1, 1)
POPULATION = dict.fromkeys(NUMBERS, 20.0)
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
ORDERS = st.lists(
    st.tuples(
        st.integers(-30, 9_000).map(lambda hours: BEGIN - timedelta(hours=hours)),
        st.integers(-2_000, 50_000).map(lambda cents: cents / 100),
        st.none(),
        st.none(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ORDERS, min_size=1, max_size=8), st.integers(1, 3))
def test_scores_of_histories_equal_the_batch_whatever_they_are_scored_with(shop, parts):
    """In one request or several that are scored together, in any order of the orders."""
    model = shop_model()
    shop = [*shop, [(BEGIN + timedelta(days=2), 1.0, None, None)]]  # the data goes on
    rows = [
        (f"c{place}", f"{place}-{n}", at, amount)
        for place, orders in enumerate(shop)
        for n, (at, amount, *_) in enumerate(orders)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_id", "ordered_at", "amount"])
    tables = Tables.from_frames(frame, clock=BEGIN + timedelta(days=9))
    scores = score_snapshot(model, tables.as_of(AS_OF), explain="none")
    batch = {row["customer_id"]: row for row in scores.table.to_pylist()}
    loaded = LoadedModel(model, "m", "UTC")
    features = loaded.features_with(scores.population)
    histories = [History(orders[::-1]) for orders in shop]
    tasks = [HistoryTask(loaded, features, AS_OF, histories[n::parts]) for n in range(parts)]
    results = score_histories(tasks, Explaining("USD", "en"))
    for n, found in enumerate(results):
        for place, score in enumerate(found):
            row = batch.get(f"c{n + place * parts}")
            names = ("status", *OUTPUTS)
            mine = score and {name: none_if_nan(score[name]) for name in names}
            assert mine == (row and {name: row[name] for name in names})


def none_if_nan(value):
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124


@pytest.mark.parametrize(
    ("as_of", "ordered_at"),
    [
        ("2026-11-30", "20260914"),
        ("2026-11-30", "1789383900"),
        ("2026-11-30", 1789383900),
        ("2026-11-30", "2026-09-14"),
        ("2026-11-30", "2026-09-14T11:05:00"),
        ("20261130", "2026-09-14T11:05:00Z"),
        (20787, "2026-09-14T11:05:00Z"),
        ("2026-11-30T00:00:00Z", "2026-09-14T11:05:00Z"),
    ],
)
def test_digits_are_no_time_and_half_a_time_is_refused(as_of, ordered_at):
    """They would be read as seconds since 1970."""
    order = {"ordered_at": ordered_at, "amount": 1.0}
    body = {"as_of": as_of, "customers": [{"orders": [order]}]}
    with pytest.raises(ValidationError, match="Input should be written as 2026-09-14"):
        HistoryRequest.model_validate_json(json.dumps(body))


@given(st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None, year=2199)))
def test_a_time_is_read_as_python_writes_it(moment):
    order = {"ordered_at": moment.replace(tzinfo=UTC).isoformat(), "amount": 1.0}
    body = {"as_of": "2026-11-30", "customers": [{"orders": [order]}]}
    found = HistoryRequest.model_validate_json(json.dumps(body))
    assert found.customers[0].orders[0].ordered_at == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize("amount", [1e12, -1e12, 1e-300, 0.0])
@pytest.mark.parametrize("at", [FIRST, datetime(1999, 1, 1, tzinfo=UTC)])
def test_the_largest_and_smallest_values_of_the_schema_are_scored(amount, at):
    loaded = LoadedModel(shop_model(), "m", "Pacific/Auckland")
    features = loaded.features_with(POPULATION)
    history = History(
        [(at, amount, amount, "web"), (BEGIN - timedelta(days=9), amount, None, None)]
    )
    for as_of in (AS_OF, LAST.date(), date(1900, 1, 2)):
        task = HistoryTask(loaded, features, as_of, [history, History([])], reasons=True)
        ((score, none),) = score_histories([task], Explaining("USD", "en"))
        assert none is None
        assert score is None or 0 <= score["churn_probability"] <= 1


@pytest.fixture(scope="module")
def ready():
    """Rows of ready features, some unknown, and their statuses."""
    rng = np.random.default_rng(5)
    matrix = rng.gamma(2.0, 20.0, (60, len(shop_model().feature_names_)))
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix, rng.choice(np.array(["eligible", "lapsed", "new"], dtype=object), 60)


@pytest.mark.parametrize("parts", [1, 7, 60])
def test_rows_that_are_scored_together_equal_those_scored_alone(ready, parts):
    matrix, status = ready
    loaded, explaining = LoadedModel(shop_model(), "m", "UTC"), Explaining("USD", "en")
    tasks = [
        FeatureTask(loaded, matrix[n::parts], status[n::parts], reasons=n % 2 == 0)
        for n in range(parts)
    ]
    together = score_rows(tasks, explaining)
    assert all(
        str(score_rows([task], explaining)) == str([found])
        for task, found in zip(tasks, together, strict=True)
    )
    columns = dict(zip(loaded.model.feature_names_, matrix.T.copy(), strict=True))
    whole = loaded.model.predict_columns({**columns, "status": status})
    for n, found in enumerate(together):
        for name in OUTPUTS:
            assert str([score[name] for score in found]) == str(whole[name][n::parts].tolist())


def test_a_request_with_unusable_rows_fails_alone(ready):
    matrix, status = ready
    loaded = LoadedModel(shop_model(), "m", "UTC")
    work = partial(score_rows, explaining=Explaining("USD", "en"))
    tasks = [FeatureTask(loaded, matrix[n : n + 2], status[n : n + 2]) for n in range(5)]
    tasks[2] = FeatureTask(loaded, np.full((2, matrix.shape[1]), 1e300), status[:2])

    async def ask():
        rounds = Rounds(work)
        return await asyncio.gather(*map(rounds.do, tasks), return_exceptions=True)

    found = asyncio.run(ask())
    assert isinstance(found[2], ProblemError)
    assert found[2].name == "unusable-features"
    assert [str(found[n]) for n in (0, 1, 3, 4)] == [
        str(score_rows([tasks[n]], Explaining("USD", "en"))[0]) for n in (0, 1, 3, 4)
    ]
