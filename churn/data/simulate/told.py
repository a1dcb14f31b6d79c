"""What offers really did in the simulated shop: each customer's days with them, and without."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.data.simulate.ahead import WITHOUT
from churn.data.simulate.campaigns import OFFERS
from churn.data.simulate.frames import customer_ids, named, times
from churn.data.simulate.sent import Sent
from churn.data.simulate.world import World

__all__ = ["told_table"]


def told_table(world: World, sent: Sent, tables: Mapping[str, pa.Table]) -> pa.Table:
    """A row per customer who was sent an offer: purchases and net spend in these days as they came,
    and as they would have come without any offer (`…_without`). `tables` are those lived through.
    """
    ids = customer_ids(world.people).take(pa.array(sent.customer))
    orders, spend = _counted(tables["orders"], ids)
    orders_without, spend_without = _counted(tables[WITHOUT], ids)
    zeros = np.zeros_like(sent.customer)
    return pa.table(
        {
            "customer_id": ids,
            "campaign_id": named((sent.campaign_id,), zeros),
            "offer_id": named(OFFERS, sent.offer),
            "channel": named(("email", "other"), (~sent.by_email).astype(np.int64)),
            "sent_at": times(world.shop, np.full(zeros.size, sent.day)),
            "bought_without": pc.greater(orders_without, 0),
            "bought": pc.greater(orders, 0),
            "orders_without": orders_without,
            "orders": orders,
            "net_spend_without": spend_without,
            "net_spend": spend,
        }
    )


def _counted(orders: pa.Table, customers: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Purchases and net spend of each of the customers."""
    cents = pc.cast(pc.round(pc.multiply(orders["amount"], 100)), pa.int64())
    bought = pc.cast(pc.greater(cents, 0), pa.int64())
    rows = pa.table({"customer_id": orders["customer_id"], "cents": cents, "bought": bought})
    sums = rows.group_by("customer_id").aggregate([("bought", "sum"), ("cents", "sum")])
    place = pc.index_in(customers, sums["customer_id"].combine_chunks())
    count, total = (
        pc.fill_null(sums[name].combine_chunks().take(place), 0)
        for name in ("bought_sum", "cents_sum")
    )
    return count, pc.divide(pc.cast(total, pa.float64()), 100.0)
