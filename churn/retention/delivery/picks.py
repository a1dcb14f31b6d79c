"""Products picked for customers, as texts that a message can name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import DataError

__all__ = ["MOST_PRODUCTS", "picks"]

MOST_PRODUCTS = 3


def picks(products: pa.Table, customers: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The first `MOST_PRODUCTS` texts of each of the customers who have rows, by `rank`.

    `products` has customer_id, rank, and name or category. A row is told by its name, one of a
    category alone by that, and by its product_id never, which says nothing to a customer: who has
    such rows alone has no texts. Each text is told once. DataError where a column is missing.
    """
    known = {"name", "category"} & set(products.column_names)
    if not known or not {"customer_id", "rank"} <= set(products.column_names):
        rule = "--products must hold customer_id, rank, and name or category"
        raise DataError(rule, got=products.column_names, fix="Take the file of recommendations.")
    columns = {"customer_id": products["customer_id"], "rank": products["rank"]}
    wanted = pc.is_in(products["customer_id"], value_set=pa.array(sorted(customers), pa.string()))
    rows = (
        pa.table(columns | {"text": _texts(products)})
        .filter(wanted)
        .sort_by([("customer_id", "ascending"), ("rank", "ascending")])
    )
    found: dict[str, dict[str, None]] = {}
    for customer, text in zip(
        rows["customer_id"].to_pylist(), rows["text"].to_pylist(), strict=True
    ):
        found.setdefault(customer, {}).update({text: None} if text else {})
    return {customer: tuple(texts)[:MOST_PRODUCTS] for customer, texts in found.items()}


def _texts(products: pa.Table) -> pa.ChunkedArray:
    """The name of each row; where it speaks of no product, the category."""
    name, category, product = (
        pc.cast(products[column], pa.string())
        if column in products.column_names
        else pa.chunked_array([pa.nulls(products.num_rows, pa.string())])
        for column in ("name", "category", "product_id")
    )
    only_category = pc.if_else(pc.is_null(product), category, pa.scalar(None, pa.string()))
    return pc.coalesce(name, only_category)
