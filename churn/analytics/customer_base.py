"""The customers of a shop as an analysis sees them: through the same door as features.

Every analysis reads the base in one way:

    base = CustomerBase.of(tables, as_of=None, active_days=90)
    found = base.sweep(partial(_rows, bounds), SCHEMA, grains=("customers",))

`_rows` is a function of the module, so that Spark can send it to its workers. It receives the
customers in blocks, each as a `Past` at `as_of`, and yields Arrow batches: sums by cell, or one row
per customer. All of its blocks pass through one call, so it can add them up and yield once; but an
engine may make several calls, and what they yield must be added up afterwards (`added_up`).
Sums of money are whole millionths (`millionths`), so that no engine adds them in another order.

Erased customers are not in the tables; those who object to profiling are left out here, and
`left_out` counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats, Ints
from churn.data.consent import current_objectors
from churn.data.days import as_date, day_number
from churn.data.history.blocks import Block
from churn.data.history.past import Moment, Past, customer_blocks, moments
from churn.data.tables import Tables
from churn.errors import ConfigError, check_type

OBJECTED = "customers who object to profiling"
MILLIONTHS = 1_000_000

Reduce: TypeAlias = "Callable[[Iterable[Past]], Iterator[pa.RecordBatch]]"


@dataclass(frozen=True)
class CustomerBase:
    """Everyone known before `as_of`, apart from objectors.

    `active_days`: a customer is active at a date if they bought in that many days before it.
    `first_day` is the day number of the first order of the data.
    """

    tables: Tables
    as_of: date
    active_days: int
    first_day: int
    objectors: pa.Array

    @classmethod
    def of(
        cls, tables: Tables, *, as_of: date | str | None = None, active_days: int
    ) -> CustomerBase:
        """The base at a date, by default at the end of the data.

        Raises ConfigError for a date beyond the data, DataError without an order.
        """
        check_type(tables, Tables, name="tables", fix="Load them with churn.load_tables(...).")
        if isinstance(active_days, bool) or not isinstance(active_days, int) or active_days < 1:
            rule = "active_days must be a whole number of at least 1"
            raise ConfigError(rule, got=active_days, fix="Pass e.g. 90.")
        first, _ = tables.span()
        when = tables.end() if as_of is None else tables.within(as_date(as_of, name="as_of"))
        objectors = pa.array(sorted(current_objectors(tables)), pa.string())
        return cls(tables, when, active_days, day_number(first), objectors)

    @property
    def moment(self) -> Moment:
        """`as_of` as a day number and an instant."""
        return moments(self.tables, [self.as_of])[0]

    @property
    def left_out(self) -> dict[str, int]:
        """The number of objectors; nothing without any."""
        return {OBJECTED: len(self.objectors)} if len(self.objectors) else {}

    def sweep(self, reduce: Reduce, schema: pa.Schema, *, grains: Collection[str] = ()) -> pa.Table:
        """What the function makes of all blocks, in memory.

        `grains` are those of `churn.data.history.rows` that it reads besides the orders.
        """
        listed = ["customers"] if self.tables.has("customers") else []
        blocks = customer_blocks(self.tables, ["orders", *grains, *listed])
        sweep = partial(_reduced, reduce, self.moment, self.objectors)
        return pa.Table.from_batches(blocks.batches(sweep, schema), schema=schema)


def _reduced(
    reduce: Reduce, moment: Moment, objectors: pa.Array, blocks: Iterable[Block]
) -> Iterator[pa.RecordBatch]:
    return reduce(Past(_without(block, objectors), moment) for block in blocks)


def _without(block: Block, objectors: pa.Array) -> Block:
    """The block without those customers."""
    if not len(objectors):
        return block
    return block.only(~_is_in(block.customer_ids, objectors))


def _is_in(ids: pa.Array, listed: pa.Array) -> Bools:
    found = pc.is_in(ids, value_set=listed).cast(pa.uint8())
    return np.asarray(np.frombuffer(found.buffers()[1], np.uint8, len(found)) == 1)


def added_up(rows: pa.Table, keys: Collection[str]) -> pa.Table:
    """One row per combination of the keys, sorted by them, with the sums of all other columns."""
    keys = list(keys)
    others = [name for name in rows.column_names if name not in keys]
    summed = rows.group_by(keys).aggregate([(name, "sum") for name in others])
    summed = summed.select([*keys, *(f"{name}_sum" for name in others)])
    return summed.rename_columns([*keys, *others]).sort_by([(key, "ascending") for key in keys])


def millionths(money: Floats) -> Ints:
    """Money in whole millionths, whose sums are exact."""
    return np.rint(money * MILLIONTHS).astype(np.int64)
