"""From a number to its customers: the cell that `--customers` names.

A cell is written as the name of a number and the keys of its row, in any order:

    lost,period=2011-11
    kept,period=2011-11,channel=web
    active,cohort=2010-12,month=3

Each analysis says which names and keys it has, and finds the customers with a sweep of the base
that yields `customer_id` (`listed`). The list is a table with the cell beside each customer;
consent is read when it is exported, not here.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from churn.errors import ConfigError

LISTED = pa.schema([("customer_id", pa.string())])
"""What a sweep for a cell yields."""


@dataclass(frozen=True)
class Cell:
    """The name of a number and the keys of its row."""

    name: str
    keys: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Cell:
        """The cell of a text such as `lost,period=2011-11,channel=web`.

        A value with a comma is quoted: `kept,"region=Bonn, Rhein"`.

        >>> Cell.parse("lost,period=2011-11,channel=web")
        Cell(name='lost', keys={'period': '2011-11', 'channel': 'web'})
        """
        name, *others = [part.strip() for part in next(csv.reader([text]), [])] or [""]
        pairs = [part.partition("=") for part in others]
        keys = {key.strip(): value.strip() for key, _, value in pairs}
        if not name or "=" in name or len(keys) < len(pairs) or not all(sep for _, sep, _ in pairs):
            rule = "a cell must be a name and the keys of its row, NAME,KEY=VALUE,..."
            raise ConfigError(rule, got=repr(text), fix="Pass e.g. lost,period=2011-11.")
        return cls(name, keys)

    def check(self, *, names: Collection[str], keys: Collection[str]) -> None:
        """Raises ConfigError unless the name and the keys are among these."""
        if self.name not in names:
            rule = f"the customers of a cell can be listed for {', '.join(sorted(names))}"
            raise ConfigError(rule, got=repr(self.name), fix="Pass one of them.")
        strange = sorted(set(self.keys) - set(keys))
        if strange:
            rule = f"the keys of a cell are {', '.join(keys)}"
            raise ConfigError(rule, got=strange, fix="Remove it.")

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.keys.items())])


def listed(cell: Cell, customers: pa.Table) -> pa.Table:
    """`customer_id`, in order, and the cell's text beside each."""
    ordered = customers.select(["customer_id"]).sort_by("customer_id")
    return ordered.append_column("cell", pa.array([str(cell)] * len(ordered), pa.string()))
