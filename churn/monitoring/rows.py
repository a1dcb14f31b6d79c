"""Predictions of a model as of earlier dates, blind to what came after, and what came after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pandas as pd
import pyarrow as pa

from churn.data.consent import current_objectors
from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.history.columns import arrow_numbers
from churn.data.labels import first_returns
from churn.data.tables import Tables
from churn.features.builder import sweep_features
from churn.modeling.model import ChurnModel
from churn.modeling.untreated import treatments
from churn.scoring.explain import columns_of

PREDICTIONS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("cutoff", pa.int64()),
        ("status", pa.string()),
        ("probability", pa.float64()),
    ]
)


def predictions(
    model: ChurnModel,
    tables: Tables,
    dates: Sequence[date],
    *,
    customers: Sequence[str] | None = None,
) -> pd.DataFrame:
    """customer_id, cutoff (day number) and probability of the eligible customers at each date.

    Features see only what had happened, and had arrived, before their date. Customers who object to
    profiling are left out.
    """
    built = sweep_features(
        tables, dates, model.clock_, names=model.feature_names_, customers=customers
    )
    found = built.swept(partial(_predicted, model), PREDICTIONS).to_pandas()
    kept = (found["status"] == "eligible") & ~found["customer_id"].isin(current_objectors(tables))
    return pd.DataFrame(found[kept].drop(columns="status").reset_index(drop=True))


def _predicted(model: ChurnModel, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        said = model.predict_columns(columns_of(batch))["churn_probability"]
        columns = [batch[name] for name in PREDICTIONS.names[:3]]
        yield pa.record_batch([*columns, arrow_numbers(said)], schema=PREDICTIONS)


def features_at(
    model: ChurnModel, tables: Tables, when: date, *, customers: Sequence[str] | None = None
) -> pd.DataFrame:
    """The model's features and `probability` of the eligible customers at one date."""
    built = sweep_features(
        tables, [when], model.clock_, names=model.feature_names_, customers=customers
    )
    rows = built.table().to_pandas()
    said = model.predict_columns({str(name): rows[name].to_numpy() for name in rows.columns})
    rows = rows.assign(probability=said["churn_probability"])
    kept = (rows["status"] == "eligible") & ~rows["customer_id"].isin(current_objectors(tables))
    return pd.DataFrame(rows.loc[kept, [*model.feature_names_, "probability"]])


def with_returns(
    rows: pd.DataFrame,
    tables: Tables,
    cutoffs: Cutoffs,
    *,
    customers: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The rows at those cutoffs with `return_day`, NaN for who did not return in the window."""
    wanted = rows[rows["cutoff"].isin([day_number(when) for when in cutoffs])]
    found = tables.engine.collect(first_returns(tables, cutoffs, customers=customers)).to_pandas()
    joined = wanted.merge(found, on=["customer_id", "cutoff"], how="left")
    return joined.assign(return_day=joined["return_day"].astype("float64"))


def open_window(cutoffs: Cutoffs, cutoff: date, day: int) -> Cutoffs:
    """The first `day` days of a cutoff's window, which has not closed yet."""
    end = cutoff + timedelta(days=cutoffs.lead_days + day + cutoffs.arrival_lag_days)
    return replace(cutoffs, dates=(cutoff,), horizon_days=day, grace_days=0, until=end)


def with_contacts(
    rows: pd.DataFrame, contacts: pd.DataFrame, cutoff: date, *, horizon_days: int, lead_days: int
) -> tuple[pd.DataFrame, int]:
    """The rows of customers whom no offer had reached in the horizon up to the cutoff, with
    `contact_day`, the days from the start of the window to their first offer after it; and how many
    were left out.
    """
    day = day_number(cutoff)
    before = contacts[(contacts["day"] <= day) & (contacts["day"] > day - horizon_days)]
    after = contacts[contacts["day"] > day].groupby("customer_id")["day"].min() - day - lead_days
    treated = rows["customer_id"].isin(before["customer_id"])
    kept = rows[~treated]
    return kept.assign(contact_day=kept["customer_id"].map(after.clip(lower=0))), int(treated.sum())


def offers_received(tables: Tables, planned: Iterable[tuple[str, date]]) -> pd.DataFrame:
    """customer_id and day (a day number) of every offer: those planned by the ledger, and the
    randomised ones among the shop's own contacts.
    """
    listed = [(customer, day_number(day)) for customer, day in planned]
    found = pd.DataFrame(listed, columns=["customer_id", "day"])
    known = treatments(tables)
    if known is not None:
        found = pd.concat([found, known.loc[known["treated"], ["customer_id", "day"]]])
    return found.astype({"customer_id": object, "day": "int64"})
