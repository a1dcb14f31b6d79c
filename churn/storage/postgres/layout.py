"""Layout of result tables in PostgreSQL: columns, keys, and a hash over the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from churn.errors import DataError
from churn.storage.postgres.address import TableAddress, identifier
from churn.storage.postgres.connection import Server

if TYPE_CHECKING:
    import pyarrow as pa


# A name without a schema means the one that the server itself would choose.
_TABLE = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.oid::int8 AS oid
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN $2 = '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2 END
"""
# For a domain, the underlying type.
_COLUMNS = """
SELECT a.attname AS name,
       pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) AS type
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = CAST($1 AS int8)::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

_SHOWN = 8
_TYPES = {
    "string": "text",
    "date32[day]": "date",
    "double": "double precision",
    "int32": "integer",
    "int64": "bigint",
    "bool": "boolean",
}
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class KnownTable:
    """A table, view or foreign table: `kind` is PostgreSQL's letter, `columns` name → type."""

    schema: str
    name: str
    kind: str
    columns: Mapping[str, str]

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


def find_table(server: Server, name: str, schema: str | None = None) -> KnownTable | None:
    """The table with that name, None if there is none."""
    found = server.rows(_TABLE, name, schema or "")
    if not found:
        return None
    table = found[0]
    columns = {row["name"]: row["type"] for row in server.rows(_COLUMNS, str(table["oid"]))}
    return KnownTable(table["schema"], table["name"], table["kind"], columns)


def existing_table(server: Server, address: TableAddress, *, fix: str) -> KnownTable:
    """The table that the address names; DataError if it does not exist."""
    table = find_table(server, address.table, address.schema)
    if table is None:
        raise DataError(f"there is no table {address}", fix=fix)
    return table


@dataclass(frozen=True)
class Layout:
    """The columns of a result, and those that identify its rows (`key`).

    `replaces` maps columns to the fact of the run that all its rows contain: rows with the same
    facts are replaced by the new ones. If runs are kept, each has an entry next to the table, with
    the content of a manifest.
    """

    schema: pa.Schema
    key: tuple[str, ...]
    replaces: Mapping[str, str]
    keeps_runs: bool

    def column_sql(self) -> str:
        """The columns in the form of CREATE TABLE."""
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
    """The error for a table that cannot hold the result's columns; it may have extra columns."""
    wanted = {one.name: type_of(one.type) for one in layout.schema}
    lacking = [f"{name} {kind}" for name, kind in wanted.items() if name not in known.columns]
    other = [
        f"{name} {known.columns[name]} instead of {kind}"
        for name, kind in wanted.items()
        if known.columns.get(name, kind) != kind
    ]
    if not lacking and not other:
        return None
    problems = [*(f"no {one}" for one in lacking), *other]
    more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return DataError(
        f"the table {address} must have the columns of the result",
        got=", ".join(problems[:_SHOWN]) + more,
        fix="Alter it, or name a new table, which is then created.",
    )


def digest_of_rows(rows: pa.Table, key: Sequence[str]) -> str:
    """SHA-256 of the rows as CSV in key order, with a control character between list items.

    >>> import pyarrow as pa
    >>> digest_of_rows(pa.table({"id": ["a", "b"]}), ["id"])[:8]
    '0d3530f7'
    >>> digest_of_rows(pa.table({"id": ["b", "a"]}), ["id"])[:8]
    '0d3530f7'
    """
    import pyarrow.csv as pa_csv

    ordered = _flat(rows).sort_by([(name, "ascending") for name in key])
    digest = hashlib.sha256()
    for start in range(0, max(ordered.num_rows, 1), _ROWS_AT_ONCE):
        text = BytesIO()
        pa_csv.write_csv(ordered.slice(start, _ROWS_AT_ONCE), text)
        digest.update(text.getbuffer())
    return digest.hexdigest()


def _flat(rows: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {
        one.name: pc.binary_join(rows[one.name], "\x1f")
        if pa.types.is_list(one.type)
        else rows[one.name]
        for one in rows.schema
    }
    return pa.table(columns)
