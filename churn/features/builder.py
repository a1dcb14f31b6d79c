"""History in, one row per customer and cutoff out: the one builder for training and scoring."""

from collections.abc import Mapping, Sequence
from datetime import date

import narwhals as nw

from churn.data.days import day_number
from churn.data.engine import Frame
from churn.data.history import KEYS, History, history
from churn.data.tables import Tables
from churn.features import rfm, rhythm  # noqa: F401 - importing them fills the catalogue
from churn.features.catalogue import CATALOGUE, Feature, feature_names
from churn.features.clock import FeatureClock
from churn.features.population import learn_population, stated_population

__all__ = ["STATUSES", "build_features"]

STATUSES = ("eligible", "lapsed", "new")


def build_features(
    tables: Tables,
    cutoffs: Sequence[date],
    clock: FeatureClock,
    *,
    undated: bool = False,
    population: Mapping[str, float | None] | None = None,
) -> Frame:
    """customer_id, cutoff (day number), status and every feature; one row per known customer.

    `undated` counts customers whose sign-up has no date. `population` replaces what is learnt
    from all customers, for a history that holds only some of them.
    """
    past = history(tables, cutoffs, undated=undated)
    if population is None:
        shop = learn_population(past)
    else:
        shop = stated_population(tables.engine, [day_number(c) for c in cutoffs], population)
    rows = _aggregated(past, clock)
    if tables.has("customers"):  # who has not ordered yet is known all the same
        rows = past.customers.join(rows, on=list(KEYS), how="left")
    rows = rows.join(shop, on="cutoff", how="left")
    for one in _over("row"):
        rows = rows.with_columns(one.formula(clock).cast(nw.Float64).alias(one.name))
    return rows.with_columns(status=status(clock)).select(*KEYS, "status", *feature_names())


def _aggregated(past: History, clock: FeatureClock) -> Frame:
    aggregates = {one.name: one.formula(clock) for one in _over("days")}
    return (
        past.days.group_by(*KEYS)
        .agg(**aggregates)
        .with_columns(*(nw.col(name).cast(nw.Float64) for name in aggregates))
    )


def _over(what: str) -> list[Feature]:
    return [one for one in CATALOGUE.values() if one.over == what]


def status(clock: FeatureClock) -> nw.Expr:
    """`new`: no purchase, or tenure under the minimum; `lapsed`: none in the lookback; else
    `eligible`.
    """
    bought = ~nw.col("recency_days").is_null()
    settled = bought & (nw.col("tenure_days") >= clock.min_tenure_days)
    recent = nw.col("recency_days") <= clock.lookback_days
    return (
        nw.when(settled & recent)
        .then(nw.lit("eligible"))
        .when(settled)
        .then(nw.lit("lapsed"))
        .otherwise(nw.lit("new"))
    )
