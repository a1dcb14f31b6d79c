"""The list of features: each one small function that declares what it is and returns an expression.

A feature over `days` is an aggregate of `History.days`; one over `row` is arithmetic on features
and sums declared before it. `sums` are aggregates that other features need and nobody else sees.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import narwhals as nw

from churn.features.clock import FeatureClock

__all__ = [
    "CATALOGUE",
    "Family",
    "Feature",
    "feature",
    "feature_names",
    "features_over_days",
    "sums",
]

Formula = Callable[[FeatureClock], nw.Expr]
Family = tuple[str, str, Formula]


@dataclass(frozen=True)
class Feature:
    """A named number per customer and cutoff: its family, unit, formula in words and source."""

    name: str
    family: str
    unit: str
    over: Literal["days", "row"]
    formula: Formula
    meaning: str
    source: str
    hidden: bool = False


CATALOGUE: dict[str, Feature] = {}


def feature(
    *, family: str, unit: str, over: Literal["days", "row"], source: str = ""
) -> Callable[[Formula], Formula]:
    """Registers a function as the feature of its own name; its docstring is the meaning."""

    def register(formula: Formula) -> Formula:
        meaning = (formula.__doc__ or "").strip()
        _add(Feature(formula.__name__, family, unit, over, formula, meaning, source))
        return formula

    return register


def features_over_days(
    members: Iterable[Family], *, family: str, unit: str, source: str = ""
) -> None:
    """Registers features that differ by a number: (name, meaning, formula) each."""
    for name, meaning, formula in members:
        _add(Feature(name, family, unit, "days", formula, meaning, source))


def sums(**formulas: Formula) -> None:
    """Registers aggregates of `History.days` that features need and nobody else sees."""
    for name, formula in formulas.items():
        _add(Feature(name, "sums", "", "days", formula, "", "", hidden=True))


def feature_names() -> tuple[str, ...]:
    """The names of all features, in the order in which they are declared."""
    return tuple(name for name, one in CATALOGUE.items() if not one.hidden)


def _add(one: Feature) -> None:
    if one.name in CATALOGUE:
        raise ValueError(f"two features are called {one.name!r}")
    CATALOGUE[one.name] = one
