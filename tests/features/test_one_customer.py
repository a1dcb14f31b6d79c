"""One customer's features are the row that the whole shop's build gives them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from churn.data.days import day_number
from churn.errors import ConfigError, ModelError
from churn.features.builder import build_features, newest_population
from churn.features.catalogue import feature_names
from churn.features.clock import FeatureClock
from churn.features.one_customer import customer_features

CUTOFF = date(2024, 5, 1)
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
ZONE = "America/New_York"
NAMES = feature_names({"orders", "orders.discount", "orders.channel"})


def shop():
    """Orders of thirty customers: on midnights of the zone, with returns, after the cutoff."""
    begin = datetime(2024, 5, 1, 4, tzinfo=UTC)
    return [
        {
            "customer_id": f"c{customer}",
            "ordered_at": begin - timedelta(hours=(37 * customer * k) % 5_000 - 90),
            "amount": float((13 * customer + 7 * k) % 60 - 9),
            "discount": float(k % 3) if k % 2 else None,
            "channel": ("web", "app", None)[(customer + k) % 3],
        }
        for customer in range(30)
        for k in range(1, 3 + customer % 9)
    ]


def as_text(order):
    """A file's row: the discount is text."""
    given = order["discount"]
    return order | {"discount": None if given is None else str(given)}


def test_each_customer_has_the_row_of_the_whole_shop(open_shop):
    tables = open_shop(map(as_text, shop()), day_timezone=ZONE)
    learnt = newest_population(tables, CUTOFF, CLOCK, NAMES)
    table = tables.engine.collect(build_features(tables, [CUTOFF], CLOCK, names=NAMES))
    rows = {row["customer_id"]: row for row in table.to_pylist()}
    assert len(rows) > 20
    for name, row in rows.items():
        own = [order for order in shop() if order["customer_id"] == name]
        found = customer_features(
            own, CUTOFF, CLOCK, names=NAMES, population=learnt, day_timezone=ZONE
        )
        assert (row.pop("customer_id"), row.pop("cutoff")) == (name, day_number(CUTOFF))
        assert found == row  # to the last bit


def test_features_of_other_tables_and_customers_without_a_past_are_rejected(open_shop):
    learnt = newest_population(open_shop(map(as_text, shop())), CUTOFF, CLOCK, NAMES)
    options = {"names": NAMES, "population": learnt}
    with pytest.raises(ModelError, match=r"order_lines.*need orders alone"):
        customer_features(shop(), CUTOFF, CLOCK, names=["lines_per_basket"], population=learnt)
    for none in ([], [shop()[0] | {"ordered_at": datetime(2024, 5, 1, tzinfo=UTC)}]):
        with pytest.raises(ConfigError, match="an order before 2024-05-01"):
            customer_features(none, CUTOFF, CLOCK, **options)
    fine = shop()[0]
    for broken in ({"amount": None}, {"amount": float("nan")}, {"ordered_at": "2024-01-01"}):
        with pytest.raises(ConfigError, match=r"a finite number.*Leave out orders"):
            customer_features([fine, fine | broken], CUTOFF, CLOCK, **options)
    naive = [{"ordered_at": datetime(2024, 1, 1), "amount": 1.0}]
    with pytest.raises(ConfigError, match="carry its zone"):
        customer_features(naive, CUTOFF, CLOCK, **options)
