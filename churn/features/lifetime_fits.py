"""BG/NBD and Gamma-Gamma fitted at each cutoff to the customers before it, and their expectations.

A fit uses at most `MOST_CUSTOMERS`, every k-th in the order of their histories: the same ones on
every engine.
"""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from churn.arrays import Floats
from churn.data.engines.base import Frame
from churn.data.history import customer_key
from churn.data.tables import Tables
from churn.errors import GateError

MOST_CUSTOMERS = 50_000
BUYING = ("purchase_days", "tenure_days", "recency_days")
BG_NBD = {name: f"bg_nbd_{name}" for name in ("r", "alpha", "a", "b")}
GAMMA_GAMMA = {name: f"gamma_gamma_{name}" for name in ("p", "q", "gamma")}
LIFETIME_NUMBERS = (*BG_NBD.values(), *GAMMA_GAMMA.values())

Numbers = Mapping[str, float | None]


def buying_histories(tables: Tables, days: Frame) -> Frame:
    """cutoff, `BUYING`, spend_cents of everyone who bought; `days` are winsorised."""
    purchases = days.filter(nw.col("is_purchase"))
    histories = purchases.group_by(customer_key(days), "cutoff").agg(
        purchase_days=nw.len(),
        tenure_days=nw.col("age_days").max(),
        recency_days=nw.col("age_days").min(),
        spend=nw.col("spend_capped").sum(),
    )
    # a ten-millionth of a cent: no rounding error of a sum tips half a cent
    cents = (nw.col("spend") * 100 + 0.5 + 1e-7).floor()
    histories = histories.with_columns(
        spend_cents=nw.when(cents < 1).then(nw.lit(1.0)).otherwise(cents)
    )
    tables.engine.store(histories.select("cutoff", *BUYING, "spend_cents"), "buying_histories")
    return tables.engine.lazy("buying_histories")


def fit_lifetime(tables: Tables, histories: Frame) -> dict[int, dict[str, float | None]]:
    """`LIFETIME_NUMBERS` by cutoff."""
    buying = _counted(tables, histories, BUYING)
    spending = _counted(tables, histories, ("purchase_days", "spend_cents"))
    return {
        int(cutoff): _bg_nbd(_at(buying, cutoff)) | _gamma_gamma(_at(spending, cutoff))
        for cutoff in np.unique(buying["cutoff"])
    }


def expectations(
    tables: Tables, histories: Frame, numbers: Mapping[int, Numbers], *, horizon_days: int
) -> Frame:
    """cutoff, `BUYING`, and the BG/NBD expectations of such a history: p_alive,
    p_no_purchase_in_horizon, expected_purchase_days.
    """
    counted = _counted(tables, histories, BUYING)
    parts = [
        _expected(_at(counted, cutoff), numbers.get(int(cutoff), {}), horizon_days)
        for cutoff in np.unique(counted["cutoff"])
    ]
    columns = parts[0].keys() if parts else ()
    joined = {name: np.concatenate([part[name] for part in parts]) for name in columns}
    if not parts:
        joined = _expected(dict.fromkeys(("cutoff", *BUYING), np.zeros(1)), {}, horizon_days)
    return tables.engine.values(
        {name: pa.array(values, from_pandas=True) for name, values in joined.items()}
    )


def _counted(tables: Tables, histories: Frame, columns: tuple[str, ...]) -> dict[str, Floats]:
    """The distinct values of those columns at each cutoff, in order, with their counts."""
    counted = histories.group_by("cutoff", *columns).agg(customers=nw.len())
    table = tables.engine.collect(counted)
    arrays = {name: table.column(name).to_numpy().astype(np.float64) for name in table.column_names}
    order = np.lexsort([arrays[name] for name in reversed(("cutoff", *columns))])
    return {name: values[order] for name, values in arrays.items()}


def _at(columns: Mapping[str, Floats], cutoff: float) -> dict[str, Floats]:
    here = columns["cutoff"] == cutoff
    return {name: values[here] for name, values in columns.items()}


def _sampled(rows: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """The histories of every k-th customer, so that `MOST_CUSTOMERS` remain."""
    total = rows["customers"].sum()
    if total <= MOST_CUSTOMERS:
        return rows
    chosen = (np.arange(MOST_CUSTOMERS) + 0.5) * total / MOST_CUSTOMERS
    places = np.searchsorted(np.cumsum(rows["customers"]), chosen, side="right")
    kept, customers = np.unique(places, return_counts=True)
    sampled = {name: values[kept] for name, values in rows.items()}
    return {**sampled, "customers": customers.astype(np.float64)}


def _bg_nbd(rows: Mapping[str, Floats]) -> dict[str, float | None]:
    from churn.features.lifetime import BGNBD

    rows = _sampled(rows)
    try:
        model = BGNBD.fit(*_as_of_age(rows), weights=rows["customers"])
    except GateError:
        return dict.fromkeys(BG_NBD.values())
    return {BG_NBD[name]: value for name, value in model.to_dict().items()}


def _gamma_gamma(rows: Mapping[str, Floats]) -> dict[str, float | None]:
    from churn.features.spend import GammaGamma

    rows = _sampled(rows)
    days, mean_spend = rows["purchase_days"], rows["spend_cents"] / 100 / rows["purchase_days"]
    try:
        model = GammaGamma.fit(days, mean_spend, weights=rows["customers"])
    except GateError:
        return dict.fromkeys(GAMMA_GAMMA.values())
    return {GAMMA_GAMMA[name]: value for name, value in model.to_dict().items()}


def _as_of_age(rows: Mapping[str, Floats]) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and age as BG/NBD counts them, in days."""
    age = rows["tenure_days"]
    return rows["purchase_days"] - 1, age - rows["recency_days"], age


def _expected(rows: Mapping[str, Floats], numbers: Numbers, horizon: int) -> dict[str, Any]:
    """Those histories with their expectations; NaN without a fit."""
    from churn.features.lifetime import BGNBD

    found = {name: rows[name] for name in ("cutoff", *BUYING)}
    found["cutoff"] = found["cutoff"].astype(np.int64)
    parameters = {name: numbers.get(number) for name, number in BG_NBD.items()}
    if any(value is None for value in parameters.values()):
        nothing = np.full(rows["cutoff"].shape, np.nan)
        return found | dict.fromkeys(_EXPECTED, nothing)
    model = BGNBD.from_dict({name: value or 0.0 for name, value in parameters.items()})
    history = _as_of_age(rows)
    values = (
        model.probability_alive(*history),
        model.probability_no_purchase(horizon, *history),
        model.expected_purchases(horizon, *history),
    )
    return found | dict(zip(_EXPECTED, values, strict=True))


_EXPECTED = ("bg_nbd_alive", "bg_nbd_no_purchase", "bg_nbd_purchase_days")
