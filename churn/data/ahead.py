"""On which days after a cutoff a customer bought: what no feature may know."""

from collections.abc import Sequence

import narwhals as nw

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.engines.base import Frame
from churn.data.tables import Tables

__all__ = ["purchases_ahead"]


def purchases_ahead(
    tables: Tables, cutoffs: Cutoffs, customers: Sequence[str], *, days: int
) -> Frame:
    """customer_id, cutoff and `days_ahead`, 0 for the cutoff's own day: a row for each day with a
    purchase of those customers, of the first `days` from each cutoff and before the panel's
    `until`. Of several versions of an order the newest counts.
    """
    wanted = tables.engine.values({"customer_id": list(customers)})
    dates = tables.engine.values({"cutoff": [day_number(cutoff) for cutoff in cutoffs]})
    joined = _bought(tables).join(wanted, on="customer_id", how="inner").join(dates, how="cross")
    ahead = nw.col("local_day") - nw.col("cutoff")
    known = nw.col("local_day") < day_number(cutoffs.until)
    inside = joined.filter((ahead >= 0) & (ahead < days) & known)
    return inside.select("customer_id", "cutoff", days_ahead=ahead).unique()


def _bought(tables: Tables) -> Frame:
    orders = tables.frame("orders").filter(nw.col("amount") > 0)
    if "superseded_day" in orders.collect_schema().names():
        orders = orders.filter(nw.col("superseded_day").is_null())
    return orders.select("customer_id", "local_day")
