"""What the shop's own tables still hold of the erased: theirs to delete, ours to leave out."""

from __future__ import annotations

from dataclasses import dataclass, field

import narwhals as nw

from churn.config import Settings
from churn.data.erased import erased_in
from churn.data.tables import Tables
from churn.errors import ChurnError
from churn.files.erasures import Erased

__all__ = ["StillHeld", "still_held"]


@dataclass(frozen=True)
class StillHeld:
    """Erased customers by table, who they are, and the e-mail and phone of those listed.

    `addresses` is None where none of them is known there; `failure` says why nothing was read.
    """

    tables: dict[str, int] = field(default_factory=dict)
    names: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: list[tuple[str | None, str | None]] | None = field(default=None, repr=False)
    failure: str | None = None


def still_held(settings: Settings, erased: Erased) -> StillHeld:
    """The connected tables as they are, with the erased in them."""
    try:
        tables = Tables.from_settings(settings.data, folder=settings.folder)
    except ChurnError as failure:
        return StillHeld(failure=str(failure))
    try:
        found = {
            table: erased_in(tables.engine, table, erased)
            for table in tables.audits
            if "customer_id" in tables.columns(table)
        }
        known = _addresses(tables, found.get("customers", []))
        counts = {table: len(names) for table, names in found.items() if names}
        return StillHeld(counts, frozenset().union(*found.values()), known)
    finally:
        tables.close()


def _addresses(tables: Tables, names: list[str]) -> list[tuple[str | None, str | None]] | None:
    """Every e-mail and phone that stands beside one of those customers."""
    there = tables.columns("customers") if names else ()
    columns = [name for name in ("email", "phone") if name in there]
    if not columns:
        return None
    rows = tables.frame("customers").filter(nw.col("customer_id").is_in(names)).select(*columns)
    found = tables.engine.collect(rows).to_pylist()
    return [(row.get("email"), row.get("phone")) for row in found] or None
