"""Features over a row: arithmetic on what stands in it already, as few steps as that allows.

Every step is one more query within the query, which an engine has to read, bind and plan. So what
does not stand on each other is computed side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import narwhals as nw

from churn.data.engines.base import Frame
from churn.features.catalogue import Feature
from churn.features.clock import FeatureClock
from churn.features.plugins import naming

WORD = re.compile(r"\w+")


def with_arithmetic(rows: Frame, features: Sequence[Feature], clock: FeatureClock) -> Frame:
    """The rows with those features, of which each may stand on those before it."""
    shipped = [one for one in features if one.is_shipped]
    for step in _steps(shipped, clock):
        rows = rows.with_columns(**step)
    for one in features:
        if not one.is_shipped:
            with naming(one):
                rows = rows.with_columns(**{one.name: _number(one, clock)})
                rows.collect_schema()  # a lazy engine speaks up only here
    return rows


def _number(one: Feature, clock: FeatureClock) -> nw.Expr:
    return one.formula(clock).cast(nw.Float64)


def _steps(features: Sequence[Feature], clock: FeatureClock) -> Iterator[dict[str, nw.Expr]]:
    """The features in groups; one that names another comes in a later group than that."""
    steps: list[dict[str, nw.Expr]] = []
    step_of: dict[str, int] = {}
    for one in features:
        number = _number(one, clock)
        named = step_of.keys() & {*WORD.findall(repr(number))}
        place = 1 + max((step_of[name] for name in named), default=-1)
        if place == len(steps):
            steps.append({})
        steps[place][one.name] = number
        step_of[one.name] = place
    yield from steps
