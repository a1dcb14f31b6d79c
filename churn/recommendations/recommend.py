"""Recommendations at a date, from a recommender evaluated on the horizons before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from numbers import Integral

import narwhals as nw
import pyarrow as pa

from churn.data.consent import objectors
from churn.data.engines.base import Frame
from churn.data.product_days import Level, product_days
from churn.data.tables import Snapshot
from churn.errors import ConfigError, check_type
from churn.modeling.sampling import pick_customers
from churn.recommendations.catalogue import Catalogue
from churn.recommendations.copurchase import Shop
from churn.recommendations.evaluation import KINDS, judge
from churn.recommendations.lists import Kind
from churn.recommendations.purchases import Moment, Purchases
from churn.recommendations.recommender import RECOMMENDED_SCHEMA, Recommender
from churn.recommendations.settings import RecommendSettings
from churn.recommendations.training import TrainingWindow, half_life_days, shop_at

EVALUATION_CUTOFFS = 2
MAX_TRAINING_ROWS = 5_000_000


def recommend(
    snapshot: Snapshot,
    *,
    horizon_days: int = 28,
    level: Level = "product",
    kind: Kind = "all",
    top: int = 10,
    settings: RecommendSettings | None = None,
) -> pa.Table:
    """`RECOMMENDED_SCHEMA`: the `top` products, or categories, that each customer is most likely
    to buy in the horizon; `kind` "repeat" or "new" restricts them to products bought before or not.

    If learnt lists were not better than best sellers on the horizons before the snapshot, the
    lists are best sellers; `source` names which. Objectors to profiling have no row.
    """
    check_type(snapshot, Snapshot, name="snapshot", fix="Pass tables.as_of(date).")
    check_type(horizon_days, Integral, name="horizon_days", fix="Pass e.g. 28.")
    check_type(top, Integral, name="top", fix="Pass e.g. 10.")
    if kind not in KINDS:
        raise ConfigError(f"kind must be one of {list(KINDS)}", got=repr(kind), fix='Pass "all".')
    recommender = fit_recommender(
        snapshot, horizon_days=horizon_days, level=level, settings=settings
    )
    batches = recommender.batches(kind=kind, top=top)
    return pa.Table.from_batches(batches, schema=RECOMMENDED_SCHEMA)


def fit_recommender(
    snapshot: Snapshot,
    *,
    horizon_days: int,
    level: Level = "product",
    settings: RecommendSettings | None = None,
    cutoffs: int = EVALUATION_CUTOFFS,
) -> Recommender:
    """The recommender of a date, evaluated on the last `cutoffs` horizons before it, at each
    cutoff with a ranker fitted on the horizon before it.

    Raises DataError without order lines that name products.
    """
    settings = settings or RecommendSettings()
    catalogue = Catalogue.of(snapshot, level=level, exclude=settings.exclude)
    refused = objectors(snapshot)
    rows = _without(product_days(snapshot, level=level), snapshot, refused)
    sample, customers = _sample(rows, snapshot, catalogue)
    dates = _dates(snapshot, horizon_days, cutoffs)
    windows = _windows(sample, catalogue, snapshot, dates, horizon_days, settings)
    rankers = [window.ranker() for window in windows]
    evaluated = [
        (window, ranker)
        for window, ranker in zip(windows, rankers[1:], strict=False)
        if ranker is not None
    ]
    return Recommender(
        snapshot=snapshot,
        horizon_days=horizon_days,
        catalogue=catalogue,
        purchases=rows,
        shop=_shop_now(sample, catalogue, snapshot, horizon_days, settings),
        ranker=rankers[0],
        cutoffs=dates[:cutoffs],
        judgement=judge(evaluated),
        customers=customers,
        objectors=len(refused),
    )


def _without(rows: Frame, snapshot: Snapshot, customers: set[str]) -> Frame:
    if not customers:
        return rows
    refused = snapshot.tables.engine.values({"customer_id": sorted(customers)})
    return rows.join(refused, on="customer_id", how="anti")


def _sample(rows: Frame, snapshot: Snapshot, catalogue: Catalogue) -> tuple[Purchases, int]:
    """The purchases of a sample of customers, of about 5 million rows at most, and the number of
    all customers.
    """
    engine = snapshot.tables.engine
    counted = engine.collect(rows.group_by("customer_id").agg(rows=nw.len()))
    customers = sorted(counted["customer_id"].to_pylist())
    total = sum(counted["rows"].to_pylist())
    if total > MAX_TRAINING_ROWS:
        kept = pick_customers(customers, max(1, len(customers) * MAX_TRAINING_ROWS // total))
        rows = rows.join(engine.values({"customer_id": kept}), on="customer_id", how="semi")
    table = engine.collect(rows.sort("customer_id"))
    return Purchases.of(table, catalogue.ids), len(customers)


def _dates(snapshot: Snapshot, horizon_days: int, cutoffs: int) -> tuple[date, ...]:
    """The evaluation cutoffs, newest first, and one before them to train on, a horizon plus the
    arrival lag apart.
    """
    step = horizon_days + snapshot.tables.arrival_lag_days()
    return tuple(snapshot.as_of - timedelta(days=step * k) for k in range(1, cutoffs + 2))


def _windows(
    sample: Purchases,
    catalogue: Catalogue,
    snapshot: Snapshot,
    dates: tuple[date, ...],
    horizon_days: int,
    settings: RecommendSettings,
) -> list[TrainingWindow]:
    moments = [_moment(snapshot, when) for when in (snapshot.as_of, *dates)]
    return [
        TrainingWindow.at(
            moment, following, sample, catalogue, horizon_days=horizon_days, settings=settings
        )
        for following, moment in pairwise(moments)
    ]


def _shop_now(
    sample: Purchases,
    catalogue: Catalogue,
    snapshot: Snapshot,
    horizon_days: int,
    settings: RecommendSettings,
) -> Shop:
    """The shop at the snapshot; products on sale come from all customers, not only the sample."""
    moment = _moment(snapshot, snapshot.as_of)
    past = sample.before(moment, half_life_days=half_life_days(horizon_days))
    shop = shop_at(past, catalogue, horizon_days=horizon_days, settings=settings)
    on_sale = catalogue.sold_since(snapshot, settings.within_days(horizon_days))
    return replace(shop, on_sale=on_sale)


def _moment(snapshot: Snapshot, when: date) -> Moment:
    return Moment.of(when, snapshot.tables.settings.day_timezone)
