"""BG/NBD and Gamma-Gamma fitted at each cutoff to the customers before it, and their expectations.

A fit uses some `MOST_CUSTOMERS`, chosen by a hash of the id: the same ones on every engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa

from churn.arrays import Floats, Ints
from churn.data.engines.base import SortedRows
from churn.data.history.blocks import Block
from churn.data.history.columns import arrow_numbers, whole_numbers
from churn.data.history.past import Moment, Past
from churn.errors import GateError

MOST_CUSTOMERS = 50_000
BUYING = ("purchase_days", "tenure_days", "recency_days")
SPENDING = ("purchase_days", "spend_cents")
BG_NBD = {name: f"bg_nbd_{name}" for name in ("r", "alpha", "a", "b")}
GAMMA_GAMMA = {name: f"gamma_gamma_{name}" for name in ("p", "q", "gamma")}
LIFETIME_NUMBERS = (*BG_NBD.values(), *GAMMA_GAMMA.values())
EXPECTED = ("bg_nbd_alive", "bg_nbd_no_purchase", "bg_nbd_purchase_days")

HISTORIES = pa.schema(
    [(name, pa.int64()) for name in ("cutoff", *BUYING, "spend_cents", "customers")]
)

Numbers = Mapping[str, float | None]


@dataclass(frozen=True)
class Fit:
    """A fit at a cutoff before which `buyers` customers had bought, with days winsorised at
    `day_limit`.
    """

    moment: Moment
    buyers: int
    day_limit: float | None = None

    @property
    def share(self) -> float:
        """The share of customers that is used."""
        return min(1.0, MOST_CUSTOMERS / max(self.buyers, 1))


def fit_lifetime(
    blocks: SortedRows[Block], fits: Sequence[Fit]
) -> dict[int, dict[str, float | None]]:
    """`LIFETIME_NUMBERS` by cutoff."""
    batches = list(blocks.batches(partial(_histories, fits), HISTORIES))
    if not batches:
        return {}
    table = pa.Table.from_batches(batches)
    rows = {name: whole_numbers(table[name]) for name in table.column_names}
    found = {}
    for cutoff in np.unique(rows["cutoff"]).tolist():
        here = {name: values[rows["cutoff"] == cutoff] for name, values in rows.items()}
        found[cutoff] = _bg_nbd(_counted(here, BUYING)) | _gamma_gamma(_counted(here, SPENDING))
    return found


def expectations(row: Mapping[str, Any], numbers: Numbers, horizon_days: int) -> dict[str, Floats]:
    """`EXPECTED` for the history of each customer; NaN without a purchase or without a fit.

    Each distinct history is evaluated once.
    """
    from churn.features.lifetime import BGNBD

    columns = [np.asarray(row[name], dtype=np.float64) for name in BUYING]
    bought = columns[0] > 0
    parameters = {name: numbers.get(number) for name, number in BG_NBD.items()}
    if any(value is None for value in parameters.values()) or not bought.any():
        return dict.fromkeys(EXPECTED, np.full(len(bought), np.nan))
    whole = {
        name: values[bought].astype(np.int64) for name, values in zip(BUYING, columns, strict=True)
    }
    places, distinct = _distinct(whole)
    model = BGNBD.from_dict({name: value or 0.0 for name, value in parameters.items()})
    history = as_of_age({name: values.astype(np.float64) for name, values in distinct.items()})
    values = (
        model.probability_alive(*history),
        model.probability_no_purchase(horizon_days, *history),
        model.expected_purchases(horizon_days, *history),
    )
    found = {}
    for name, value in zip(EXPECTED, values, strict=True):
        found[name] = np.full(len(bought), np.nan)
        found[name][bought] = value[places]
    return found


def _histories(fits: Sequence[Fit], blocks: Iterable[Block]) -> Iterator[pa.RecordBatch]:
    """The distinct histories of those who bought in each block, and how many customers share one.

    `spend_cents` is the winsorised spend in whole cents, at least 1.
    """
    for block in blocks:
        orders = replace(block, grains={"orders": block.grains["orders"]})
        for one, some in _chosen(orders, fits):
            yield purchase_histories(Past(some, one.moment, one.day_limit))


def _chosen(block: Block, fits: Sequence[Fit]) -> Iterator[tuple[Fit, Block]]:
    """The customers of each fit."""
    most = max(one.share for one in fits)
    if most < 1:
        places = np.array([crc32(name.encode()) for name in block.customer_ids.to_pylist()])
        places = places / 2.0**32
        block, places = block.only(places < most), places[places < most]
    for one in fits:
        yield one, block if one.share == most else block.only(places < one.share)


def purchase_histories(past: Past) -> pa.RecordBatch:
    """The distinct histories of the buyers of a block, and the customers of each: `HISTORIES`."""
    days = past.days
    count = days.count(days.bought)
    # a ten-millionth of a cent: no rounding error of a sum tips half a cent
    cents = np.floor(days.total(days.spend_capped, days.bought) * 100 + 0.5 + 1e-7)
    ages = days.most(days.age_days, days.bought), days.least(days.age_days, days.bought)
    columns = (count, *ages, np.maximum(cents, 1.0))
    some = count > 0
    names = (*BUYING, "spend_cents")
    whole = {
        name: values[some].astype(np.int64) for name, values in zip(names, columns, strict=True)
    }
    places, distinct = _distinct(whole)
    shared = {"customers": np.bincount(places, minlength=len(distinct["spend_cents"]))}
    made = {"cutoff": np.full(len(shared["customers"]), past.moment.day)} | distinct | shared
    return pa.record_batch(
        [arrow_numbers(made[name]) for name in HISTORIES.names], schema=HISTORIES
    )


def _distinct(rows: Mapping[str, Ints]) -> tuple[Ints, dict[str, Ints]]:
    """The place of each row among the distinct ones, and these, in order; none is negative."""
    order = np.lexsort(_packed(list(rows.values()))[::-1])
    ordered = {name: values[order] for name, values in rows.items()}
    begins = np.zeros(len(order), dtype=bool)
    begins[:1] = True
    for values in ordered.values():
        begins[1:] |= values[1:] != values[:-1]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.cumsum(begins) - 1
    return places, {name: values[begins] for name, values in ordered.items()}


def _packed(columns: Sequence[Ints]) -> list[Ints]:
    """Fewer columns of the same order: one holds as many of the non-negative ones as it can."""
    packed: list[Ints] = []
    room = 0
    for column in columns:
        bits = int(column.max(initial=0)).bit_length()
        if packed and bits <= room:
            packed[-1] = packed[-1] << bits | column
            room -= bits
        else:
            packed.append(column)
            room = 63 - bits
    return packed


def _counted(rows: Mapping[str, Ints], names: Sequence[str]) -> dict[str, Floats]:
    """The distinct values of those columns, in order, and the customers of each."""
    places, distinct = _distinct({name: rows[name] for name in names})
    floats = {name: values.astype(np.float64) for name, values in distinct.items()}
    customers: Floats = np.bincount(places, rows["customers"]).astype(np.float64)
    return {**floats, "customers": customers}


def _bg_nbd(rows: Mapping[str, Floats]) -> dict[str, float | None]:
    from churn.features.lifetime import BGNBD

    try:
        model = BGNBD.fit(*as_of_age(rows), weights=rows["customers"])
    except GateError:
        return dict.fromkeys(BG_NBD.values())
    return {BG_NBD[name]: value for name, value in model.to_dict().items()}


def _gamma_gamma(rows: Mapping[str, Floats]) -> dict[str, float | None]:
    from churn.features.spend import GammaGamma

    days, mean_spend = rows["purchase_days"], rows["spend_cents"] / 100 / rows["purchase_days"]
    try:
        model = GammaGamma.fit(days, mean_spend, weights=rows["customers"])
    except GateError:
        return dict.fromkeys(GAMMA_GAMMA.values())
    return {GAMMA_GAMMA[name]: value for name, value in model.to_dict().items()}


def as_of_age(rows: Mapping[str, Floats]) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and age as BG/NBD counts them, in days."""
    age = rows["tenure_days"]
    return rows["purchase_days"] - 1, age - rows["recency_days"], age
