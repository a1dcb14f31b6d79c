"""Untreated outcomes: excluding rows whose outcome an offer may have changed.

A churn model is meant to learn the untreated outcome. A row with a randomised offer in its label
window is excluded, and randomised controls represent the excluded rows with the weight 1 /
P(control) (Horvitz and Thompson 1952). A row with a non-randomised offer is kept unchanged, because
no control represents it and rules tend to select the customers at highest risk. Customers outside
the randomisation have the weight 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import narwhals as nw
import numpy as np
import pandas as pd

from churn.data.history.rows import NO_OFFER, NOT_CONTACTED
from churn.data.tables import Tables
from churn.modeling.dataset import WEIGHT, Dataset


@dataclass(frozen=True)
class Untreated:
    """Rows with an untreated outcome and their `weight`, and counts by kind: `treated` were
    excluded, `kept_by_lot` are the randomised controls that represent them, `by_rule` were kept
    with the outcome of a non-randomised offer.
    """

    dataset: Dataset
    counts: Mapping[str, int]


def treatments(tables: Tables) -> pd.DataFrame | None:
    """customer_id, day, treated and propensity of every contact; None if nothing was ever
    randomised.

    Without randomisation no control represents the treated, and excluding them would only hide the
    customers at highest risk.
    """
    if not tables.has("contacts") or "propensity" not in tables.columns("contacts"):
        return None
    names = [n for n in ("offer_id", "arm") if n in tables.columns("contacts")]
    frame = tables.frame("contacts").select(
        "customer_id", "propensity", *names, day=nw.col("local_day")
    )
    found: pd.DataFrame = tables.engine.collect(frame).to_pandas()
    found = found.reindex(columns=["customer_id", "day", "offer_id", "arm", "propensity"])
    arm = found["arm"].astype("object").fillna("treatment").str.lower()
    without = arm.isin(NOT_CONTACTED) | (found["offer_id"].astype("object") == NO_OFFER)
    if not found["propensity"].between(0, 1, inclusive="neither").any():
        return None
    return found[["customer_id", "day", "propensity"]].assign(treated=~without)


def untreated(dataset: Dataset, contacts: pd.DataFrame | None) -> Untreated:
    """The dataset without rows that had a randomised offer in their label window.

    `contacts` are `treatments`. Any randomised offer in a window excludes the row, and the weights
    of several randomisations multiply. Without contacts the dataset is unchanged.
    """
    if contacts is None:
        return Untreated(dataset, {})
    rows = dataset.rows
    treated, by_rule, weight = _in_windows(rows, contacts, dataset)
    kept = rows[~treated].assign(**{WEIGHT: weight[~treated]})
    counts = {
        "treated": int(treated.sum()),
        "kept_by_lot": int((weight[~treated] > 1).sum()),
        "by_rule": int((by_rule & ~treated).sum()),
    }
    return Untreated(replace(dataset, rows=kept), counts)


def _in_windows(
    rows: pd.DataFrame, contacts: pd.DataFrame, dataset: Dataset
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each row had a randomised, or a non-randomised, offer in its window; 1 /
    P(control).
    """
    keys = rows[["customer_id", "cutoff"]].assign(row=np.arange(len(rows)))
    pairs = keys.merge(contacts, on="customer_id", how="inner")
    ends = pairs["cutoff"] + dataset.cutoffs.reach_days
    inside = pairs[(pairs["day"] >= pairs["cutoff"]) & (pairs["day"] < ends)]
    treated, by_rule = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    by_lot = inside["propensity"].between(0, 1, inclusive="neither")
    treated[inside.loc[inside["treated"] & by_lot, "row"]] = True
    by_rule[inside.loc[inside["treated"] & ~by_lot, "row"]] = True
    log_weight = np.zeros(len(rows))
    lots = inside[~inside["treated"] & inside["propensity"].between(0, 1, inclusive="right")]
    np.add.at(log_weight, lots["row"].to_numpy(), -np.log(lots["propensity"].to_numpy()))
    return treated, by_rule, np.exp(log_weight)
