"""How a result lies in a database: its columns and their types, its key, what a write replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churn.errors import DataError
from churn.files.postgres.address import TableAddress, identifier
from churn.files.postgres.catalogue import KnownTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Layout", "differing", "type_of"]

_SHOWN = 8
_TYPES = {
    "string": "text",
    "date32[day]": "date",
    "double": "double precision",
    "int32": "integer",
    "int64": "bigint",
    "bool": "boolean",
}


@dataclass(frozen=True)
class Layout:
    """The columns of a result, and those by which its rows are told apart (`key`).

    `replaces` names columns and, for each, the fact of the run that all its rows hold there: rows
    of the same facts give way to the new ones. Where runs are kept, each has an entry beside the
    table, with what a manifest would tell.
    """

    schema: pa.Schema
    key: tuple[str, ...]
    replaces: Mapping[str, str]
    keeps_runs: bool

    def column_sql(self) -> str:
        """The columns as CREATE TABLE wants them."""
        return ", ".join(f"{identifier(one.name)} {type_of(one.type)}" for one in self.schema)

    def type_of(self, column: str) -> str:
        """PostgreSQL's name of a column's type."""
        return type_of(self.schema.field(column).type)

    def key_sql(self) -> str:
        """The columns of the key."""
        return ", ".join(map(identifier, self.key))


def type_of(kind: Any) -> str:
    """PostgreSQL's name of an Arrow type.

    >>> import pyarrow as pa
    >>> type_of(pa.list_(pa.string()))
    'text[]'
    """
    listed = getattr(kind, "value_type", None)
    return _TYPES[str(kind)] if listed is None else f"{_TYPES[str(listed)]}[]"


def differing(known: KnownTable, layout: Layout, address: TableAddress) -> DataError | None:
    """The error for a table that cannot take the result's columns; columns of its own may stay."""
    wanted = {one.name: type_of(one.type) for one in layout.schema}
    lacking = [f"{name} {kind}" for name, kind in wanted.items() if name not in known.columns]
    other = [
        f"{name} {known.columns[name]} instead of {kind}"
        for name, kind in wanted.items()
        if known.columns.get(name, kind) != kind
    ]
    if not lacking and not other:
        return None
    told = [*(f"no {one}" for one in lacking), *other]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return DataError(
        f"the table {address} must have the columns of the result",
        got=", ".join(told[:_SHOWN]) + more,
        fix="Alter it, or name a table that is not there yet: it is made.",
    )
