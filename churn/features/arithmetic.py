"""Features over a row: arithmetic on the columns already computed, in as few steps as possible.

Every step is one more nested query, which an engine has to parse, bind and plan. Features that do
not depend on each other are therefore computed in the same step.
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
    """The rows with those features, each of which may depend on those before it."""
    shipped = [one for one in features if one.is_shipped]
    for step in _steps(shipped, clock):
        rows = rows.with_columns(**step)
    for one in features:
        if not one.is_shipped:
            with naming(one):
                rows = rows.with_columns(**{one.name: _number(one, clock)})
                rows.collect_schema()  # a lazy engine reports errors only here
    return rows


def _number(one: Feature, clock: FeatureClock) -> nw.Expr:
    return one.formula(clock).cast(nw.Float64)


def _steps(features: Sequence[Feature], clock: FeatureClock) -> Iterator[dict[str, nw.Expr]]:
    """The features in groups; a feature that uses another is in a later group."""
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
