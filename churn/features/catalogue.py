"""The catalogue of features: each is a small function that declares itself and returns one number
per customer.

A feature over `days`, `lines`, `events` or `terms` reduces the rows of that table before the cutoff
(`churn.data.history`), one over `row` calculates with features and sums declared before it. `sums`
are internal aggregates that other features need. A feature declares what must be connected: if that
is missing, the feature does not exist; it is never zero.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from churn.arrays import Floats
from churn.errors import ConfigError
from churn.features.clock import FeatureClock

Formula = Callable[[Any, FeatureClock], Floats]
Family = tuple[str, str, Formula]
Grain = Literal["days", "lines", "events", "terms", "row"]
Families = Literal["all"] | Collection[str]

# Statuses, labels, baselines and segments depend on these.
REQUIRED_FAMILIES = ("recency", "frequency", "tenure", "money", "activity", "gaps")
NEEDED_BY_GRAIN = {
    "days": "orders",
    "lines": "order_lines",
    "events": "orders",
    "terms": "subscriptions",
    "row": "orders",
}


# Modules of this room that declare features, in the order of the catalogue.
SHIPPED_MODULES = (
    *("rfm", "rhythm", "expected"),
    *("discount", "returns", "habits", "lapses", "first_order"),
    "basket",
    *("engagement", "service", "loyalty", "acquisition"),
    "subscription",
)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A named number per customer and cutoff: its family, unit, meaning and source.

    `needs` names what must be connected: a table, `table.column`, or `events.type`. `empty` is the
    value for a customer without a row in its table. `controlled` marks what the shop itself
    decides: never advice.
    """

    name: str
    family: str
    unit: str
    over: Grain
    formula: Formula
    meaning: str = ""
    source: str = ""
    needs: frozenset[str] = frozenset()
    empty: float | None = None
    controlled: bool = False
    hidden: bool = False

    @property
    def is_shipped(self) -> bool:
        """Whether it is part of this package rather than a user's own."""
        return self.formula.__module__.startswith("churn.")


class Catalogue(MutableMapping[str, Feature]):
    """Features by name, in the order of declaration. This package's own are loaded on first use."""

    def __init__(self) -> None:
        self._features: dict[str, Feature] = {}
        self._is_full = False

    def declare(self, one: Feature) -> None:
        """Adds a feature. Raises ConfigError if its name is taken."""
        if not one.is_shipped:
            self._fill()
        if one.name in self._features:
            fix = "Choose another; docs/features.md lists those of this package."
            raise ConfigError("a feature needs a unique name", got=repr(one.name), fix=fix)
        self._features[one.name] = one

    def __getitem__(self, name: str) -> Feature:
        self._fill()
        return self._features[name]

    def __setitem__(self, name: str, one: Feature) -> None:
        self._features[name] = one

    def __delitem__(self, name: str) -> None:
        del self._features[name]

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(self._features)

    def __len__(self) -> int:
        self._fill()
        return len(self._features)

    def _fill(self) -> None:
        if self._is_full:
            return
        self._is_full = True  # the modules declare their features on import
        try:
            for module in SHIPPED_MODULES:
                import_module(f"churn.features.{module}")
        except BaseException:
            self._is_full = False
            raise


CATALOGUE = Catalogue()


def feature(
    *,
    family: str,
    unit: str,
    over: Grain,
    source: str = "",
    needs: Collection[str] = (),
    empty: float | None = None,
    controlled: bool = False,
) -> Callable[[Formula], Formula]:
    """Registers a function as the feature of the same name; its docstring is the meaning."""
    _check_grain(over)

    def register(formula: Formula) -> Formula:
        if not callable(formula):
            rule, fix = "a feature must be a function", "Put @feature(...) above one."
            raise ConfigError(rule, got=type(formula).__name__, fix=fix)
        meaning = " ".join((formula.__doc__ or "").split())
        one = Feature(
            name=formula.__name__,
            family=family,
            unit=unit,
            over=over,
            formula=formula,
            meaning=meaning,
            source=source,
            needs=_needs(over, needs),
            empty=empty,
            controlled=controlled,
        )
        CATALOGUE.declare(one)
        return formula

    return register


def features_over(
    over: Grain,
    members: Iterable[Family],
    *,
    family: str,
    unit: str,
    source: str = "",
    needs: Collection[str] = (),
    empty: float | None = None,
    controlled: bool = False,
) -> None:
    """Registers features that differ by a number: (name, meaning, formula) each."""
    _check_grain(over)
    for name, meaning, formula in members:
        one = Feature(
            name=name,
            family=family,
            unit=unit,
            over=over,
            formula=formula,
            meaning=meaning,
            source=source,
            needs=_needs(over, needs),
            empty=empty,
            controlled=controlled,
        )
        CATALOGUE.declare(one)


def sums(
    over: Grain = "days",
    /,
    *,
    needs: Collection[str] = (),
    empty: float | None = None,
    **formulas: Formula,
) -> None:
    """Registers internal aggregates that features need."""
    _check_grain(over)
    for name, formula in formulas.items():
        if not callable(formula):
            rule = "a sum must be a function of the rows and the clock"
            fix = "Pass e.g. paid=lambda days, clock: days.total(days.spend)."
            raise ConfigError(rule, got=type(formula).__name__, fix=fix)
        one = Feature(
            name=name,
            family="sums",
            unit="",
            over=over,
            formula=formula,
            needs=_needs(over, needs),
            empty=empty,
            hidden=True,
        )
        CATALOGUE.declare(one)


def feature_names(
    connected: Collection[str] = ("orders",), families: Families = "all"
) -> tuple[str, ...]:
    """The names of the features that those sources allow, in the order of declaration.

    `families` adds to `REQUIRED_FAMILIES`. Raises ConfigError for an undeclared family.
    """
    _check_collection(connected, name="connected", fix='Pass e.g. ("orders",).')
    if families != "all":
        _check_collection(families, name="families", fix='Pass e.g. ["lifetime"], or "all".')
    known = {one.family for one in CATALOGUE.values() if not one.hidden}
    wanted = known if families == "all" else {*REQUIRED_FAMILIES, *families}
    if not wanted <= known:
        rule = f"[features] families must be among {sorted(known)}"
        raise ConfigError(rule, got=sorted(wanted - known), fix='Or write families = "all".')
    return tuple(
        one.name
        for one in CATALOGUE.values()
        if not one.hidden and one.family in wanted and one.needs <= set(connected)
    )


def _check_grain(over: object) -> None:
    if over not in NEEDED_BY_GRAIN:
        rule = f"a feature is over one of {list(NEEDED_BY_GRAIN)}"
        raise ConfigError(rule, got=repr(over), fix='Pass e.g. over="days".')


def _check_collection(value: object, *, name: str, fix: str) -> None:
    """Raises ConfigError for a single text, or for anything that is not a collection."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise ConfigError(f"{name} must be a collection", got=type(value).__name__, fix=fix)


def _needs(over: Grain, needs: Collection[str]) -> frozenset[str]:
    """What is needed, including the tables of the columns and of the grain."""
    tables = {one.split(".")[0] for one in needs}
    return frozenset({"orders", NEEDED_BY_GRAIN[over], *needs, *tables})
