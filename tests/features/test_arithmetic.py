"""Row features in few steps, each after those that it stands on."""

import narwhals as nw
import pyarrow as pa
import pytest

from churn.data.engines.duck import DuckDBEngine
from churn.features.arithmetic import with_arithmetic
from churn.features.catalogue import Feature
from churn.features.clock import FeatureClock

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)


def one(name: str, formula: nw.Expr) -> Feature:
    return Feature(name=name, family="f", unit="", over="row", formula=lambda _: formula)


def shipped(feature: Feature) -> Feature:
    feature.formula.__module__ = "churn.features.made_up"
    return feature


def steps_of(lazy: nw.LazyFrame) -> int:
    return lazy.to_native().sql_query().upper().count("SELECT")


@pytest.mark.parametrize("place", [shipped, lambda feature: feature])
def test_a_feature_may_stand_on_those_before_it(place):
    engine = DuckDBEngine()
    rows = engine.values({"a": [2.0, 4.0]})
    features = [
        one("half", nw.col("a") / 2),
        one("quarter", nw.col("half") / 2),
        one("twice", nw.col("a") * 2),
        one("all_of_it", nw.max_horizontal("twice", "quarter") + nw.coalesce("half", "a")),
    ]
    found = engine.collect(with_arithmetic(rows, [place(f) for f in features], CLOCK))
    assert found.select(["half", "quarter", "twice", "all_of_it"]).to_pylist() == [
        {"half": 1.0, "quarter": 0.5, "twice": 4.0, "all_of_it": 5.0},
        {"half": 2.0, "quarter": 1.0, "twice": 8.0, "all_of_it": 10.0},
    ]
    assert found.schema.field("half").type == pa.float64()


def test_features_side_by_side_take_one_step_and_a_chain_takes_as_many_as_it_is_long():
    rows = DuckDBEngine().values({"a": [1.0]})
    wide = [shipped(one(f"twice_{n}", nw.col("a") * n)) for n in range(20)]
    chain = [shipped(one(f"link_{n}", nw.col(f"link_{n - 1}" if n else "a") + 1)) for n in range(4)]
    assert steps_of(with_arithmetic(rows, wide, CLOCK)) == 1
    assert steps_of(with_arithmetic(rows, [*wide, *chain], CLOCK)) == 4
