"""Anna's orders and features as of 2024-05-01: what the tests of each family calculate by hand."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE, feature_names
from churn.features.clock import FeatureClock

CUTOFF = date(2024, 5, 1)  # a Wednesday
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)


def order(days_ago: int, amount: float = 10.0, **columns: Any) -> dict[str, Any]:
    """An order of Anna's at noon of that day."""
    at = datetime(2024, 5, 1, 12, tzinfo=UTC) - timedelta(days=days_ago)
    return {"customer_id": "anna", "ordered_at": at, "amount": amount, **columns}


def features_of(*families: str) -> Callable[..., dict[str, Any]]:
    """A function of `open_shop` and orders that builds Anna's features of those families."""

    def build(
        open_shop: Any, *orders: dict[str, Any], clock: FeatureClock = CLOCK
    ) -> dict[str, Any]:
        tables = open_shop(orders)
        names = feature_names(tables.connected(), families=families)
        built = build_features(tables, [CUTOFF], clock, names=names)
        rows = tables.engine.collect(built).to_pylist()
        (anna,) = [row for row in rows if row["customer_id"] == "anna"]
        return {name: anna[name] for name in names if CATALOGUE[name].family in families}

    return build
