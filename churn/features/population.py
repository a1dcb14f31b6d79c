"""What is learnt from all customers before a cutoff: the shop's usual gap and order."""

from collections.abc import Mapping

import narwhals as nw

from churn.data.engine import DuckDBEngine, Frame
from churn.data.history import History

__all__ = ["POPULATION", "learn_population", "stated_population"]

POPULATION = ("population_gap_days", "population_gap_deviation_days", "population_order_amount")


def learn_population(history: History) -> Frame:
    """Cutoff and the population's mean gap, deviation of gaps, and average order, per cutoff."""
    gap = nw.col("gap_days")
    totals = history.days.group_by("cutoff").agg(
        gaps=gap.count(),
        gap_sum=gap.sum(),
        gap_squares=(gap * gap).sum(),
        orders=nw.col("orders").sum(),
        spend=nw.col("spend").sum(),
    )
    mean = nw.col("gap_sum") / nw.col("gaps")
    variance = nw.col("gap_squares") / nw.col("gaps") - mean * mean
    positive = nw.when(variance > 0).then(variance).otherwise(nw.lit(0.0))
    some = nw.col("gaps") > 0
    return totals.select(
        "cutoff",
        population_gap_days=nw.when(some).then(mean),
        population_gap_deviation_days=nw.when(some).then(positive.sqrt()),
        population_order_amount=nw.when(nw.col("orders") > 0).then(
            nw.col("spend") / nw.col("orders")
        ),
    )


def stated_population(
    engine: DuckDBEngine, cutoffs: list[int], values: Mapping[str, float | None]
) -> Frame:
    """The same frame from numbers learnt before, e.g. those that a bundle carries."""
    columns = {name: [values[name]] * len(cutoffs) for name in POPULATION}
    return engine.values({"cutoff": cutoffs, **columns})
