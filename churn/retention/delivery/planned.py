"""A plan's table as an export sees it: of which campaign and date, and what it decided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import DataError
from churn.retention.delivery.sendable import offered
from churn.retention.plan_inputs import conform

__all__ = ["LIST_COLUMNS", "LIST_SCHEMA", "PLANNED_COLUMNS", "Planned", "digest_of"]

PLANNED_COLUMNS = (
    *("customer_id", "campaign_id", "offer_id", "channel", "arm", "expires_on", "as_of", "run_id"),
)
"""What a plan tells a list."""

LIST_COLUMNS = (*PLANNED_COLUMNS[:6], "code", *PLANNED_COLUMNS[6:])
"""What a list tells a campaign tool: the offer with its code, and by which plan. No score, no
worth.
"""

_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("campaign_id", pa.string(), nullable=False),
        pa.field("offer_id", pa.string(), nullable=False),
        pa.field("channel", pa.string()),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("expires_on", pa.date32()),
        pa.field("as_of", pa.date32(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
    ]
)
LIST_SCHEMA = pa.schema(
    [_SCHEMA.field(name) if name != "code" else ("code", pa.string()) for name in LIST_COLUMNS]
)
"""The same with their types."""


@dataclass(frozen=True)
class Planned:
    """A plan's rows in `PLANNED_COLUMNS`, and what all of them say alike."""

    table: pa.Table
    campaign_id: str
    as_of: date
    run_id: str
    digest: str

    @classmethod
    def read(cls, plan: pa.Table) -> Self | None:
        """The plan of a file, None where it has no rows.

        DataError where a column is missing, a customer stands twice, or two plans are mixed.
        """
        table = conform(plan, _SCHEMA, what="plan")
        if not table.num_rows:
            return None
        if pc.count_distinct(table["customer_id"]).as_py() < table.num_rows:
            rule = "a plan must hold every customer_id once"
            raise DataError(rule, fix="Export the file that `churn plan` wrote.")
        one = {name: _single(table, name) for name in ("campaign_id", "as_of", "run_id")}
        decided = offered(table).select(["customer_id", "offer_id", "channel", "expires_on"])
        return cls(table, digest=digest_of(decided), **one)


def digest_of(table: pa.Table) -> str:
    """A hash of the rows as text, the same whatever their order."""
    from io import BytesIO

    import pyarrow.csv as pa_csv

    text = BytesIO()
    pa_csv.write_csv(table.sort_by([(name, "ascending") for name in table.column_names]), text)
    return hashlib.sha256(text.getbuffer()).hexdigest()


def _single(table: pa.Table, name: str) -> Any:
    values = pc.unique(table[name]).to_pylist()
    if len(values) > 1:
        rule = f"a plan must be of one {name}"
        raise DataError(rule, got=f"{len(values)}", fix="Export one plan at a time.")
    return values[0]
