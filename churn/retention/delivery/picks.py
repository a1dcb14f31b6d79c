"""Products picked for customers, as texts that a message can name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import DataError

__all__ = ["MOST_PRODUCTS", "picks"]

MOST_PRODUCTS = 3
_NAMES = ("name", "product_id", "category")


def picks(products: pa.Table, customers: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The first `MOST_PRODUCTS` texts of each of the customers who have some, by `rank`.

    `products` has customer_id, rank, and of name, product_id and category at least one: the first
    that a row has is told, each text once. DataError where a column is missing.
    """
    known = [name for name in _NAMES if name in products.column_names]
    if not known or not {"customer_id", "rank"} <= set(products.column_names):
        rule = "--products must hold customer_id, rank, and name, product_id or category"
        raise DataError(rule, got=products.column_names, fix="Take the file of recommendations.")
    texts = pc.coalesce(*(pc.cast(products[name], pa.string()) for name in known))
    columns = {"customer_id": products["customer_id"], "rank": products["rank"], "text": texts}
    wanted = pc.is_in(products["customer_id"], value_set=pa.array(sorted(customers), pa.string()))
    rows = (
        pa.table(columns)
        .filter(wanted)
        .sort_by([("customer_id", "ascending"), ("rank", "ascending")])
    )
    found: dict[str, dict[str, None]] = {}
    for customer, text in zip(
        rows["customer_id"].to_pylist(), rows["text"].to_pylist(), strict=True
    ):
        if text:
            found.setdefault(customer, {})[text] = None
    return {customer: tuple(texts)[:MOST_PRODUCTS] for customer, texts in found.items()}
