"""Statistics learned from all customers before a cutoff: usual gap, order and daily spend, the
shares of acquisition sources, and purchase and dropout parameters.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.fences import log_normal_fence, moments, steady
from churn.data.history import KEYS, History
from churn.data.tables import Tables
from churn.errors import ModelError
from churn.features.lifetime_fits import LIFETIME_NUMBERS

LEARNT_IN_ONE_PASS = (
    "population_gap_days",
    "population_gap_deviation_days",
    "population_order_amount",
    "population_day_limit",
)
NUMBERS = (*LEARNT_IN_ONE_PASS, *LIFETIME_NUMBERS)

# Texts that become the share of customers with the same value, and what they need connected.
SHARED_TEXTS = {
    "acquisition_source": "customers.acquisition_source",
    "first_channel": "orders.channel",
}

Numbers = dict[str, float | None]
Shares = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Population:
    """What was learned before each cutoff (a day number): `NUMBERS`, and the shares of texts."""

    numbers: Mapping[int, Numbers]
    shares: Mapping[int, Shares] = field(default_factory=dict)

    @classmethod
    def stated(cls, cutoffs: Sequence[int], learnt: Mapping[str, Any]) -> "Population":
        """The population returned by `at` earlier, e.g. from a bundle, used for every cutoff.

        Raises ModelError if a number is missing.
        """
        lacking = [name for name in NUMBERS if name not in learnt]
        if lacking:
            rule = "a stated population must have all of its numbers"
            raise ModelError(rule, got=f"none for {lacking}", fix="Train again.")
        numbers = {name: learnt[name] for name in NUMBERS}
        shares = learnt.get("shares", {})
        return cls(dict.fromkeys(cutoffs, numbers), dict.fromkeys(cutoffs, shares))

    def at(self, cutoff: int) -> dict[str, Any]:
        """The numbers, and the shares under `shares`, at one cutoff; None for unknown values."""
        numbers = self.numbers.get(cutoff, {})
        shares = self.shares.get(cutoff, {})
        return {**{name: numbers.get(name) for name in NUMBERS}, "shares": shares}

    def extended(self, numbers: Mapping[int, Numbers]) -> "Population":
        """The same with further numbers at each cutoff."""
        both = {
            cutoff: {**self.numbers.get(cutoff, {}), **more} for cutoff, more in numbers.items()
        }
        return Population({**self.numbers, **both}, self.shares)

    def frame(self, tables: Tables, cutoffs: Sequence[int]) -> Frame:
        """The numbers as a table: cutoff and `NUMBERS`."""
        columns = {name: [self.at(cutoff)[name] for cutoff in cutoffs] for name in NUMBERS}
        numbers = tables.engine.values({"cutoff": list(cutoffs), **columns})
        return numbers.with_columns(*(nw.col(name).cast(nw.Float64) for name in NUMBERS))

    def share_frame(self, tables: Tables, text: str) -> Frame:
        """The shares of a text as a table: cutoff, the text, and `<text>_share`."""
        rows = [
            (cutoff, value, share)
            for cutoff, shares in self.shares.items()
            for value, share in shares.get(text, {}).items()
        ] or [(0, "", 0.0)]  # no engine infers a type from no rows
        names = ("cutoff", text, f"{text}_share")
        return tables.engine.values(
            dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        )


def learn_population(tables: Tables, past: History, *, texts: Collection[str] = ()) -> Population:
    """The population's numbers, and the shares of `texts`, per cutoff, from earlier data only.

    A day is capped at the upper fence of the log-normal: exp(mean + 3 standard deviations) of the
    logarithm of the spend of purchase days.
    """
    gap, log_spend = nw.col("gap_days"), nw.col("log_spend")
    bought = past.days.with_columns(
        log_spend=nw.when(nw.col("is_purchase")).then(nw.col("spend").log())
    )
    totals = bought.group_by("cutoff").agg(
        gaps=gap.count(),
        gap_sum=gap.sum(),
        gap_squares=(gap * gap).sum(),
        orders=nw.col("orders").sum(),
        spend=nw.col("spend").sum(),
        days=log_spend.count(),
        log_sum=log_spend.sum(),
        log_squares=(log_spend * log_spend).sum(),
    )
    rows = tables.engine.collect(totals).to_pylist()
    numbers = {int(row["cutoff"]): _numbers(row) for row in rows}
    shares: dict[int, Shares] = {}
    for text in texts:
        for cutoff, found in _shares(tables, past, text).items():
            shares.setdefault(cutoff, {})[text] = found
    return Population(numbers, shares)


def first_channel() -> nw.Expr:
    """The channel of the first purchase day, over a customer's days."""
    first = nw.col("is_purchase") & nw.col("gap_days").is_null()
    return nw.when(first).then(nw.col("channel")).min()


def _shares(tables: Tables, past: History, text: str) -> dict[int, dict[str, float]]:
    """By cutoff, the share of each value among the customers who have one."""
    rows = past.customers
    if text == "first_channel":
        rows = past.days.group_by(*KEYS).agg(first_channel=first_channel())
    counted = rows.filter(~nw.col(text).is_null()).group_by("cutoff", text).agg(n=nw.len())
    counts: dict[int, dict[str, int]] = {}
    for row in tables.engine.collect(counted).to_pylist():
        counts.setdefault(int(row["cutoff"]), {})[str(row[text])] = int(row["n"])
    return {
        cutoff: {value: n / sum(found.values()) for value, n in sorted(found.items())}
        for cutoff, found in counts.items()
    }


def capped(day: nw.Expr) -> nw.Expr:
    """A day's money, winsorised: within the population's limit on both sides of zero."""
    limit = nw.col("population_day_limit")
    low = nw.when(day < -limit).then(-limit).otherwise(day)
    return nw.when(day > limit).then(limit).otherwise(low)


def _numbers(row: Mapping[str, Any]) -> Numbers:
    total = {name: 0.0 if value is None else float(value) for name, value in row.items()}
    gap, gap_deviation = moments(total["gaps"], total["gap_sum"], total["gap_squares"])
    logs = total["days"], total["log_sum"], total["log_squares"]
    order = _usual_order(total["spend"], total["orders"], *moments(*logs))
    limit = log_normal_fence(*logs)
    found = (gap, gap_deviation, order, limit)
    rounded = (None if value is None else steady(value) for value in found)
    return dict(zip(LEARNT_IN_ONE_PASS, rounded, strict=True))


def _usual_order(
    spend: float, orders: float, log_mean: float | None, log_deviation: float | None
) -> float | None:
    """The mean order, capped at the mean of the log-normal: one giant order moves it little."""
    if not orders:
        return None
    mean = spend / orders
    if log_mean is None or log_deviation is None:
        return mean
    return min(mean, exp(log_mean + log_deviation**2 / 2))
