"""Statistics learned from all customers before a cutoff: usual gap, order and daily spend, the
shares of acquisition sources, and purchase and dropout parameters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import exp
from typing import Any

import numpy as np
import pyarrow as pa

from churn.arrays import Floats, Ints
from churn.data.engines.base import SortedRows
from churn.data.fences import log_normal_fence, moments, steady
from churn.data.history.blocks import Block
from churn.data.history.columns import NO_TEXT, Column, arrow_numbers
from churn.data.history.days import Days
from churn.data.history.past import Moment, Past
from churn.data.history.rows import ARRIVALS
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
CODED_IN = {
    "acquisition_source": ("customers", "acquisition_source"),
    "first_channel": ("orders", "channel"),
}
"""The grain and column in whose texts the codes of `Past` point."""

SUMS = (
    *("gaps", "gap_sum", "gap_squares"),
    *("orders", "spend", "days", "buyers"),
    *("log_sum", "log_squares"),
)
SUMS_SCHEMA = pa.schema([("cutoff", pa.int64()), *((name, pa.float64()) for name in SUMS)])
COUNTS_SCHEMA = pa.schema(
    [("cutoff", pa.int64()), ("text", pa.int64()), ("value", pa.string()), ("n", pa.int64())]
)

Numbers = dict[str, float | None]
Shares = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Population:
    """What was learned before each cutoff (a day number): `NUMBERS`, the shares of texts, and how
    many customers had bought.
    """

    numbers: Mapping[int, Numbers]
    shares: Mapping[int, Shares] = field(default_factory=dict)
    buyers: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def stated(cls, cutoffs: Sequence[int], learnt: Mapping[str, Any]) -> Population:
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

    def extended(self, numbers: Mapping[int, Numbers]) -> Population:
        """The same with further numbers at each cutoff."""
        both = {
            cutoff: {**self.numbers.get(cutoff, {}), **more} for cutoff, more in numbers.items()
        }
        return replace(self, numbers={**self.numbers, **both})

    def limit(self, cutoff: int) -> float | None:
        """The largest spend of a day that counts in full; None if none is known."""
        return self.numbers.get(cutoff, {}).get("population_day_limit")

    def columns(self, past: Past, texts: Collection[str]) -> dict[str, Any]:
        """The numbers as floats, NaN if unknown, and `<text>_share` of each customer."""
        known = self.numbers.get(past.moment.day, {})
        numbers = {name: _or_nan(known.get(name)) for name in NUMBERS}
        return numbers | {f"{text}_share": self._share(past, text) for text in texts}

    def _share(self, past: Past, text: str) -> Floats:
        shares = self.shares.get(past.moment.day, {}).get(text, {})
        names = past.block.texts[CODED_IN[text]].to_pylist()
        of_code = np.array([*(shares.get(name, np.nan) for name in names), np.nan])
        return of_code[text_of(past, text)]  # the code of a missing text is -1: the last


def learn_population(
    blocks: SortedRows[Block],
    cutoffs: Sequence[Moment],
    *,
    texts: Collection[str] = (),
    undated: bool = False,
) -> Population:
    """The population's numbers, and the shares of `texts`, per cutoff, from earlier data only.

    A day is capped at the upper fence of the log-normal: exp(mean + 3 standard deviations) of the
    logarithm of the spend of purchase days. `undated` as in `Past`.
    """
    totals: dict[int, dict[str, float]] = {}
    for batch in blocks.batches(partial(_sums, cutoffs), SUMS_SCHEMA):
        for row in batch.to_pylist():
            total = totals.setdefault(row["cutoff"], dict.fromkeys(SUMS, 0.0))
            for name in SUMS:
                total[name] += row[name]
    numbers = {cutoff: _numbers(total) for cutoff, total in totals.items() if total["days"]}
    shares: dict[int, Shares] = {}
    if texts:
        for cutoff, counted in _counts(blocks, cutoffs, texts, undated=undated).items():
            shares[cutoff] = {text: _normed(counts) for text, counts in counted.items()}
    buyers = {cutoff: int(total["buyers"]) for cutoff, total in totals.items()}
    return Population(numbers, shares, buyers)


def text_of(past: Past, text: str) -> Column:
    """The code of each customer's text; `NO_TEXT` if it is unknown."""
    found: Column = getattr(past, text)
    return found


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _sums(cutoffs: Sequence[Moment], blocks: Iterable[Block]) -> Iterator[pa.RecordBatch]:
    """The sums over each block's days before each cutoff."""
    days = np.array([moment.day for moment in cutoffs], dtype=np.int64)
    newest = max(cutoffs, key=lambda moment: moment.day)
    for block in blocks:
        if any(arrival in block.grains["orders"] for arrival in ARRIVALS):
            parts = [_sums_before(Past(block, moment).days, [moment.day]) for moment in cutoffs]
        else:  # what was known before a cutoff is what had happened: one pass serves all of them
            parts = [_sums_before(Past(block, newest).days, days)]
        columns = [days, *np.concatenate(parts, axis=1)]
        yield pa.record_batch([arrow_numbers(one) for one in columns], schema=SUMS_SCHEMA)


def _sums_before(days: Days, cutoffs: Sequence[int] | Ints) -> Floats:
    """`SUMS` over the rows before each cutoff (day numbers), shape (sums, cutoffs)."""
    order = np.argsort(cutoffs, kind="stable")
    following = np.searchsorted(np.asarray(cutoffs)[order], days.local_day, side="right")
    gap = np.nan_to_num(days.gap_days)
    log_spend = np.log(days.spend, out=np.zeros(len(days)), where=days.bought)
    columns = (
        *(days.has_gap, gap, gap * gap),
        *(days.orders, days.spend, days.bought, days.is_first),
        *(log_spend, log_spend * log_spend),
    )
    sums = np.zeros((len(SUMS), len(order)))
    for row, values in enumerate(columns):
        sums[row, order] = np.cumsum(np.bincount(following, values, minlength=len(order)))
    return sums


def _counts(
    blocks: SortedRows[Block], cutoffs: Sequence[Moment], texts: Collection[str], *, undated: bool
) -> dict[int, dict[str, dict[str, int]]]:
    """By cutoff and text, how many customers have each value."""
    found: dict[int, dict[str, dict[str, int]]] = {}
    sweep = partial(_counts_of_blocks, cutoffs, tuple(texts), undated)
    for batch in blocks.batches(sweep, COUNTS_SCHEMA):
        for row in batch.to_pylist():
            text = tuple(texts)[row["text"]]
            counts = found.setdefault(row["cutoff"], {}).setdefault(text, {})
            counts[row["value"]] = counts.get(row["value"], 0) + row["n"]
    return found


def _counts_of_blocks(
    cutoffs: Sequence[Moment], texts: Sequence[str], undated: bool, blocks: Iterable[Block]
) -> Iterator[pa.RecordBatch]:
    """The customers with each value of the texts, by cutoff and place of the text."""
    for block in blocks:
        for moment in cutoffs:
            past = Past(block, moment, undated=undated)
            for place, text in enumerate(texts):
                codes, names = text_of(past, text), block.texts[CODED_IN[text]]
                counts = np.bincount(codes[codes != NO_TEXT], minlength=len(names))
                some = np.flatnonzero(counts)
                same = (np.full(len(some), number, np.int64) for number in (moment.day, place))
                columns = [*map(arrow_numbers, same), names.take(arrow_numbers(some))]
                columns.append(arrow_numbers(counts[some]))
                yield pa.record_batch(columns, schema=COUNTS_SCHEMA)


def _normed(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {value: n / total for value, n in sorted(counts.items())}


def _numbers(total: Mapping[str, float]) -> Numbers:
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
