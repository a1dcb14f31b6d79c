"""Experiment data from a shop's tables: randomised contacts, features before, outcomes after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import narwhals as nw
import numpy as np
import pandas as pd

from churn.data.consent import current_objectors
from churn.data.cutoffs import Cutoffs
from churn.data.days import date_of, day_number
from churn.data.event_days import NOT_CONTACTED
from churn.data.labels import outcomes
from churn.data.tables import Tables
from churn.errors import DataError
from churn.features.builder import build_features
from churn.features.catalogue import feature_names
from churn.features.clock import FeatureClock
from churn.offers.catalogue import NO_OFFER
from churn.uplift.experiment import COLUMNS, ExperimentData

MOST_STANDARD_ERRORS = 4.0

CUTOFFS_AT_ONCE = 8
NOT_NAMED = "no offer is named"
OPEN = "the horizon after the contact is not over"
AGAIN = "contacted before in the same campaign"
OBJECTED = "objected to profiling"
UNKNOWN = "not known before the contact"
UNFIT = "the lot does not fit its propensities"
KEPT = ("customer_id", "campaign_id", "day", "cutoff", "lot", "offer_id", "arm", "propensity")
CAME_NEXT = ("horizon_orders", "horizon_net_spend")


def lots_that_fit(contacts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The contacts of choice sets that fit their propensities, and the number of all others.

    `contacts` has lot, offer_id and propensity.
    """
    gaps = contacts.groupby("lot")[["offer_id", "propensity"]].apply(_widest_gap)
    fitting = gaps.index[gaps <= MOST_STANDARD_ERRORS] if len(contacts) else gaps.index
    kept = contacts[contacts["lot"].isin(fitting)]
    return kept, len(contacts) - len(kept)


def lot_gap(propensity: np.ndarray, rows: int) -> float:
    """Standard errors between the sum of 1 / propensity over the rows of an arm and all `rows`.

    If every row was assigned that arm with its propensity, each row of the arm represents 1 /
    propensity rows, and their sum represents all (Horvitz and Thompson 1952).

    >>> lot_gap(np.full(50, 0.5), rows=100)
    0.0
    """
    spread = np.sqrt(np.sum((1 - propensity) / propensity**2))
    return float(abs(np.sum(1 / propensity) - rows) / spread)


def _widest_gap(lot: pd.DataFrame) -> float:
    arms = lot.groupby("offer_id")["propensity"]
    return max(lot_gap(arm.to_numpy(), len(lot)) for _, arm in arms)


def build_experiment(
    tables: Tables,
    *,
    as_of: date,
    clock: FeatureClock,
    margin_rate: float = 1.0,
    names: Sequence[str] | None = None,
) -> ExperimentData:
    """The randomised contacts whose `clock.horizon_days` were over by `as_of` (exclusive).

    Features are as of before the day of the contact. A contact whose propensity is not strictly
    between 0 and 1 was not randomised: it is counted as observational and not used. `names` selects
    the features (default: all that the connected tables allow). Raises DataError without a contacts
    table.
    """
    contacts, counts = _contacts(tables, as_of=as_of, horizon_days=clock.horizon_days)
    drawn = contacts["propensity"].between(0, 1, inclusive="neither")
    observational = contacts.loc[~drawn & (contacts["offer_id"] != NO_OFFER), "offer_id"]
    wanted = feature_names(tables.connected()) if names is None else tuple(names)
    lots, unfit = lots_that_fit(contacts[drawn])
    known = _with_outcomes(tables, lots, as_of=as_of, clock=clock, names=wanted)
    rows = known.rename(columns={"horizon_net_spend": "margin"})
    rows["margin"] = margin_rate * rows["margin"]
    rows["retained"] = (rows["horizon_orders"] > 0).astype("float64")
    counts |= {UNFIT: unfit, UNKNOWN: len(lots) - len(known)}
    return ExperimentData(
        rows=rows[[*COLUMNS, *wanted]].reset_index(drop=True),
        feature_names=wanted,
        horizon_days=clock.horizon_days,
        observational={str(k): int(v) for k, v in observational.value_counts().items()},
        left_out={reason: count for reason, count in counts.items() if count},
    )


def _contacts(
    tables: Tables, *, as_of: date, horizon_days: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The first contact of each customer and campaign, and the number left out by reason."""
    if not tables.has("contacts"):
        rule = "effects are learnt from table 'contacts', which is not connected"
        raise DataError(rule, fix="Name its source in [data.contacts].")
    frame = tables.frame("contacts")
    there = frame.collect_schema().names()
    found: pd.DataFrame = tables.engine.collect(
        frame.select(
            "customer_id",
            "campaign_id",
            "day",
            *(name for name in ("lot", "offer_id", "arm", "propensity") if name in there),
            cutoff=nw.col("local_day"),
        )
    ).to_pandas()
    found = found.reindex(columns=[*KEPT])
    found["lot"] = _lots(found)
    found["propensity"] = found["propensity"].astype("float64")
    found["offer_id"] = _offered(found)
    found = found.sort_values(["campaign_id", "customer_id", "day"], ignore_index=True)
    end = day_number(as_of) - tables.arrival_lag_days()
    seen = found[found["cutoff"] < day_number(as_of)]
    named = seen[seen["offer_id"].notna()]
    closed = named[named["cutoff"] + horizon_days <= end]
    willing = closed[~closed["customer_id"].isin(current_objectors(tables))]
    first = willing.drop_duplicates(["campaign_id", "customer_id"])
    steps = {
        NOT_NAMED: (seen, named),
        OPEN: (named, closed),
        OBJECTED: (closed, willing),
        AGAIN: (willing, first),
    }
    return first, {reason: len(more) - len(less) for reason, (more, less) in steps.items()}


def _lots(contacts: pd.DataFrame) -> pd.Series[str]:
    """The campaign, followed by the choice set if it is named."""
    named = contacts["lot"].astype("object")
    campaign = contacts["campaign_id"].astype("object")
    return campaign.where(named.isna(), campaign + "/" + named.fillna("").astype(str))


def _offered(contacts: pd.DataFrame) -> pd.Series[str]:
    """The assigned offer: "none" for controls and the holdout, whatever else the row contains."""
    arm = contacts["arm"].astype("object").fillna("treatment").str.lower()
    offer = contacts["offer_id"].astype("object")
    return offer.where(~arm.isin(NOT_CONTACTED), NO_OFFER)


def _with_outcomes(
    tables: Tables, lots: pd.DataFrame, *, as_of: date, clock: FeatureClock, names: Sequence[str]
) -> pd.DataFrame:
    """The contacts with features of the shared builder, and outcomes."""
    keys = ["customer_id", "cutoff"]
    parts = []
    for cutoffs in _panels(lots["cutoff"], as_of, clock, tables.arrival_lag_days()):
        built = build_features(tables, list(cutoffs), clock, names=names)
        features, came_next = (
            tables.engine.collect(frame).to_pandas() for frame in (built, outcomes(tables, cutoffs))
        )
        known = lots.merge(features, on=keys, how="inner")
        parts.append(known.merge(came_next, on=keys, how="left"))
    if not parts:
        return lots.reindex(columns=[*lots.columns, *CAME_NEXT, *names])
    rows = pd.concat(parts, ignore_index=True)
    rows[[*CAME_NEXT]] = rows[[*CAME_NEXT]].astype("float64").fillna(0.0)
    return rows


def _panels(
    days: pd.Series[int], as_of: date, clock: FeatureClock, lag_days: int
) -> Iterator[Cutoffs]:
    """The days of the contacts as cutoffs, a few at a time to limit memory."""
    dates = [date_of(int(day)) for day in np.unique(days)]
    for begin in range(0, len(dates), CUTOFFS_AT_ONCE):
        some = tuple(dates[begin : begin + CUTOFFS_AT_ONCE])
        yield Cutoffs(some, clock.horizon_days, as_of, arrival_lag_days=lag_days)
