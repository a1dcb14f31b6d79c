"""The plan to deliver, and recommended products for its messages."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaigns.delivery.deliverable import offered
from churn.errors import DataError
from churn.offers.plan_table import conform

PLANNED_COLUMNS = (
    *("customer_id", "campaign_id", "offer_id", "channel", "arm", "expires_on", "as_of", "run_id"),
)
"""Columns of a plan that are used for lists."""

LIST_COLUMNS = (*PLANNED_COLUMNS[:6], "code", *PLANNED_COLUMNS[6:])
"""Columns of a list for campaign tools: the offer with its code, and the plan. No score, no value.
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

MAX_PRODUCTS = 3


@dataclass(frozen=True)
class Planned:
    """A plan's rows in `PLANNED_COLUMNS`, and the values common to all of them."""

    table: pa.Table
    campaign_id: str
    as_of: date
    run_id: str
    digest: str

    @classmethod
    def read(cls, plan: pa.Table) -> Self | None:
        """The plan of a file, None if it has no rows.

        Raises DataError if a column is missing, a customer is repeated, or plans are mixed.
        """
        table = conform(plan, _SCHEMA, what="plan")
        if not table.num_rows:
            return None
        if pc.count_distinct(table["customer_id"]).as_py() < table.num_rows:
            rule = "a plan must contain every customer_id once"
            raise DataError(rule, fix="Export the file that `churn plan` wrote.")
        common = {name: _single(table, name) for name in ("campaign_id", "as_of", "run_id")}
        decisions = offered(table).select(["customer_id", "offer_id", "channel", "expires_on"])
        return cls(table, digest=digest_of(decisions), **common)


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
        rule = f"a plan must have only one {name}"
        raise DataError(rule, got=f"{len(values)}", fix="Export one plan at a time.")
    return values[0]


def product_names(products: pa.Table, customers: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Up to `MAX_PRODUCTS` distinct names for each of the customers who have rows, by `rank`.

    `products` has customer_id, rank, and name or category. A row without a product is named by its
    category; a product without a name is omitted, because its id means nothing to a customer.
    Raises DataError if a column is missing.
    """
    naming = {"name", "category"} & set(products.column_names)
    if not naming or not {"customer_id", "rank"} <= set(products.column_names):
        rule = "--products must contain customer_id, rank, and name or category"
        raise DataError(rule, got=products.column_names, fix="Pass the file of recommendations.")
    columns = {"customer_id": products["customer_id"], "rank": products["rank"]}
    ids = pa.array(sorted(customers), pa.string())
    rows = (
        pa.table(columns | {"text": _texts(products)})
        .filter(pc.is_in(products["customer_id"], value_set=ids))
        .sort_by([("customer_id", "ascending"), ("rank", "ascending")])
    )
    names: dict[str, dict[str, None]] = {}
    for customer, text in zip(
        rows["customer_id"].to_pylist(), rows["text"].to_pylist(), strict=True
    ):
        names.setdefault(customer, {}).update({text: None} if text else {})
    return {customer: tuple(texts)[:MAX_PRODUCTS] for customer, texts in names.items()}


def _texts(products: pa.Table) -> pa.ChunkedArray:
    """The name of each row; the category for rows without a product."""
    name, category, product = (
        pc.cast(products[column], pa.string())
        if column in products.column_names
        else pa.chunked_array([pa.nulls(products.num_rows, pa.string())])
        for column in ("name", "category", "product_id")
    )
    only_category = pc.if_else(pc.is_null(product), category, pa.scalar(None, pa.string()))
    return pc.coalesce(name, only_category)
