"""What a customer would do without us: rows whose outcome an offer of ours may have changed.

A model of risk learns the untreated outcome. A row with an offer in its label window shows another
one and is left out where a lot decided who gets it: a row that the lot kept without stands for
those left out like it, with the weight 1 / P(kept without) (Horvitz and Thompson 1952). An offer
that no lot decided leaves its row as it came, for nobody could stand for it, and those whom a rule
picks are the riskiest. Who was no candidate counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import narwhals as nw
import numpy as np
import pandas as pd

from churn.data.tables import Tables
from churn.modeling.dataset import WEIGHT, Dataset

WITHOUT_OFFER = ("control", "holdout")
NO_OFFER = "none"


@dataclass(frozen=True)
class Untreated:
    """The rows that show an untreated outcome, with their `weight`, and how many are of which kind:
    `treated` were left out, `kept_by_lot` stand for them, `by_rule` are there with the outcome of
    an offer that no lot decided.
    """

    dataset: Dataset
    counts: Mapping[str, int]


def treatments(tables: Tables) -> pd.DataFrame | None:
    """customer_id, day, treated and propensity of every contact; None where no lot ever decided.

    Without a lot nobody stands for the treated, and leaving them out would only hide the riskiest.
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
    without = arm.isin(WITHOUT_OFFER) | (found["offer_id"].astype("object") == NO_OFFER)
    if not found["propensity"].between(0, 1, inclusive="neither").any():
        return None
    return found[["customer_id", "day", "propensity"]].assign(treated=~without)


def untreated(dataset: Dataset, contacts: pd.DataFrame | None) -> Untreated:
    """The dataset without the rows that a lot had treated within their label windows.

    `contacts` are `treatments`. Of several contacts in a window any offer by lot leaves the row
    out, and the weights of lots multiply. Without contacts the dataset stays as it is.
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
    """Whether a lot, or else a rule, treated each row within its window; 1 / P(no lot did)."""
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
