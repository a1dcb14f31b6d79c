"""What a server knows of a table: where it lies, its columns, and what the user may do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from churn.errors import DataError
from churn.files.postgres.address import TableAddress, identifier
from churn.files.postgres.connection import Server

__all__ = ["KnownTable", "existing_table", "find_table"]

# A name without a schema is the one that the server itself would take.
_TABLE = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.oid::int8 AS oid
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN $2 = '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2 END
"""
# Of a domain the type beneath it.
_COLUMNS = """
SELECT a.attname AS name,
       pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) AS type
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = CAST($1 AS int8)::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


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
    """The table of that name, None where there is none."""
    found = server.rows(_TABLE, name, schema or "")
    if not found:
        return None
    table = found[0]
    columns = {row["name"]: row["type"] for row in server.rows(_COLUMNS, str(table["oid"]))}
    return KnownTable(table["schema"], table["name"], table["kind"], columns)


def existing_table(server: Server, address: TableAddress, *, fix: str) -> KnownTable:
    """The table that the address names; DataError where it is not there."""
    table = find_table(server, address.table, address.schema)
    if table is None:
        raise DataError(f"there is no table {address}", fix=fix)
    return table
