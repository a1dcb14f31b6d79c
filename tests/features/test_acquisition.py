"""Where customers came from, and how soon they bought."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE, feature_names
from churn.features.clock import FeatureClock

CUTOFF = date(2024, 5, 1)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)


def ago(days: float) -> datetime:
    return datetime(2024, 5, 1, tzinfo=UTC) - timedelta(days=days)


def order(days: float) -> dict[str, Any]:
    return {"customer_id": "anna", "ordered_at": ago(days), "amount": 10.0}


@pytest.fixture
def features(open_shop, as_table):
    """The features of the family on 2024-05-01, of anna unless said otherwise."""

    def build(
        *orders: dict[str, Any], of: str = "anna", **others: list[dict[str, Any]]
    ) -> dict[str, Any]:
        tables = open_shop(orders, **{name: as_table(rows) for name, rows in others.items()})
        wanted = feature_names(tables.connected(), families=["acquisition"])
        names = [name for name in wanted if CATALOGUE[name].family == "acquisition"]
        built = build_features(tables, [CUTOFF], CLOCK, names=names)
        rows = tables.engine.collect(built).to_pylist()
        (row,) = [row for row in rows if row["customer_id"] == of]
        return {name: row[name] for name in names}

    return build


def person(name: str, signed_up_at: str | None, source: str | None = None) -> dict[str, Any]:
    return {"customer_id": name, "signed_up_at": signed_up_at, "acquisition_source": source}


def test_a_source_is_as_common_as_its_share_among_those_known_by_then(features):
    """Fay signs up after the cutoff, and nobody knows where Eve came from."""
    people = [
        person("anna", "2024-01-01", "search"),
        person("ben", "2024-01-01", "search"),
        person("cleo", "2024-01-01", "search"),
        person("dora", "2024-01-01", "friend"),
        person("eve", "2024-01-01"),
        person("fay", "2024-05-01", "friend"),
    ]
    shares = {
        name: features(order(20), customers=people, of=name)["acquisition_share"]
        for name in ("anna", "dora", "eve")
    }
    assert shares == {"anna": 0.75, "dora": 0.25, "eve": None}


@pytest.mark.parametrize(
    ("signed_up_at", "days"),
    [
        ("2024-04-01T23:59:00Z", 10),
        ("2024-04-11T00:00:00Z", 0),
        ("2024-04-20T08:00:00Z", 0),
        ("2024-05-01T00:00:00Z", None),
        (None, None),
    ],
)
def test_days_from_sign_up_to_the_first_purchase_day(features, signed_up_at, days):
    """The first purchase was on 2024-04-11; who signed up later had bought as a guest."""
    people = [person("anna", signed_up_at), person("ben", "2024-01-01")]
    found = features(order(20), order(3), customers=people)
    assert found["days_to_first_purchase"] == days


def test_who_signed_up_and_never_bought_has_not_waited_for_so_many_days(features):
    people = [person("anna", "2024-01-01"), person("ben", "2024-01-01")]
    assert features(order(20), customers=people, of="ben")["days_to_first_purchase"] is None
