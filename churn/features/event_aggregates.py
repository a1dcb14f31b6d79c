"""Building blocks of event features: how many, how much and how long ago, by kind."""

from collections.abc import Iterable

import narwhals as nw

from churn.data.event_days import KINDS
from churn.features.catalogue import Family, Formula


def counts(kind: str, days: float | None = None) -> Formula:
    """The number of events of a kind, in the last `days` days or ever."""
    return lambda _: _of(kind, days, nw.lit(1), 0).sum()


def amounts(kind: str, days: float | None = None) -> Formula:
    """The total amount of events of a kind, in the last `days` days or ever."""
    return lambda _: _of(kind, days, nw.col("amount"), 0.0).sum()


def last_days(kind: str) -> Formula:
    """Whole days from the last event of a kind to the cutoff; null if there was none."""
    return lambda _: nw.when(nw.col("kind") == KINDS[kind]).then(nw.col("age_days")).min()


def counts_in_windows(prefix: str, what: str, kind: str, windows: Iterable[int]) -> list[Family]:
    """One count feature per window: `<prefix>_<days>d`."""
    return [
        (f"{prefix}_{days}d", f"{what} in the last {days} days.", counts(kind, days))
        for days in windows
    ]


def _of(kind: str, days: float | None, value: nw.Expr, otherwise: float) -> nw.Expr:
    wanted = nw.col("kind") == KINDS[kind]
    if days is not None:
        wanted = wanted & (nw.col("age_days") <= days)
    return nw.when(wanted).then(value).otherwise(nw.lit(otherwise))
