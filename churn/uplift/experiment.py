"""Experiments: randomised contacts with features before them and outcomes after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from churn.arrays import Bools, Floats
from churn.data.consent import current_objectors
from churn.data.cutoffs import Cutoffs
from churn.data.days import date_of, day_number, midnight
from churn.data.history.rows import NOT_CONTACTED
from churn.data.labels import outcomes
from churn.data.tables import Tables
from churn.errors import DataError
from churn.features.builder import sweep_features
from churn.features.catalogue import feature_names
from churn.features.clock import FeatureClock
from churn.offers.catalogue import NO_OFFER

COLUMNS = ("customer_id", "lot", "offer_id", "propensity", "retained", "margin")
REDEEMED = "redeemed"
"""An optional column: whether the assigned offer was redeemed."""
MAX_STANDARD_ERRORS = 4.0
CUTOFFS_AT_ONCE = 8
NOT_NAMED = "no offer is named"
OPEN = "the horizon after the contact is not over"
AGAIN = "contacted before in the same campaign"
OBJECTED = "objected to profiling"
UNKNOWN = "not known before the contact"
BY_PLAN = "no propensity, and the plan of the campaign is on record: it counts instead"
UNFIT = "the lot does not fit its propensities"
KEPT = ("customer_id", "campaign_id", "day", "cutoff", "lot", "offer_id", "arm", "propensity")
ASSIGNED = ("customer_id", "campaign_id", "as_of", "offer_id", "arm", "propensity", "lot")
"""The columns of what plans assigned; `as_of` is a date."""
OUTCOMES = ("horizon_orders", "horizon_net_spend")


def customer_codes(customer: ArrayLike) -> NDArray[np.int64]:
    """The number of each row's customer: 0, 1, 2 … in order of appearance."""
    return np.asarray(pd.factorize(np.asarray(customer))[0], dtype=np.int64)


def customer_folds(customer: ArrayLike, folds: int, *, seed: int) -> NDArray[np.int64]:
    """The fold of each row: equally many customers per fold, all rows of a customer in one.

    >>> customer_folds(["ann", "bob", "ann", "cid"], 3, seed=1).tolist()
    [0, 1, 0, 2]
    """
    codes = customer_codes(customer)
    places = np.random.default_rng(seed).permutation(codes.max(initial=-1) + 1)
    return np.asarray(places[codes] % folds)


@dataclass(frozen=True)
class ExperimentData:
    """Randomised contacts with their outcomes, one row each: `COLUMNS`, then features.

    Rows of one `lot`, a choice set, could have been assigned the same offers. `offer_id` is the
    assigned one, "none" for customers held out: intention to treat. `propensity` is its
    probability, strictly between 0 and 1. `retained` is 1 for an order within `horizon_days`,
    `margin` the margin in them. `redeemed`, if known, is 1 if the offer was. Features are as of
    before the contact. `observational` counts contacts that were not randomised, by offer;
    `left_out` all other unusable ones, by reason; `by_plan` the rows that plans on record assigned.
    """

    rows: pd.DataFrame
    feature_names: tuple[str, ...]
    horizon_days: int
    observational: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    by_plan: int = 0

    def __post_init__(self) -> None:
        missing = [n for n in (*COLUMNS, *self.feature_names) if n not in self.rows]
        if missing:
            fix = "Build the experiment with build_experiment, or add them."
            raise DataError(f"an experiment lacks column(s) {missing}", fix=fix)
        outside = int((~self.rows["propensity"].between(0, 1, inclusive="neither")).sum())
        if outside:
            raise DataError(
                "propensities must lie strictly between 0 and 1",
                got=f"{outside} row(s) otherwise",
                fix="Leave out contacts that were not randomised: they are observational.",
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def offers(self) -> tuple[str, ...]:
        """The offers of choice sets with held-out customers, by name."""
        assigned = self.rows.loc[self.compared, "offer_id"].unique()
        return tuple(sorted(name for name in assigned if name != NO_OFFER))

    @property
    def compared(self) -> Bools:
        """Rows of choice sets with held-out customers."""
        lots = self.rows.loc[self.rows["offer_id"] == NO_OFFER, "lot"].unique()
        return np.asarray(self.rows["lot"].isin(lots))

    @property
    def customer(self) -> NDArray[Any]:
        """The customer of each row."""
        return self.rows["customer_id"].to_numpy()

    @property
    def retained(self) -> Floats:
        """1 for an order within the horizon, else 0."""
        return self.rows["retained"].to_numpy(dtype="float64")

    @property
    def margin(self) -> Floats:
        """The margin within the horizon."""
        return self.rows["margin"].to_numpy(dtype="float64")

    @property
    def redeemed(self) -> Floats | None:
        """1 if the assigned offer was redeemed, else 0; None if redemptions are not known."""
        return self.rows[REDEEMED].to_numpy(dtype="float64") if REDEEMED in self.rows else None

    @property
    def propensity(self) -> Floats:
        """The probability of the assigned offer, or of being held out."""
        return self.rows["propensity"].to_numpy(dtype="float64")

    @property
    def matrix(self) -> np.ndarray:
        """The features as float32, shape (rows, features)."""
        return feature_matrix(self.rows, self.feature_names)

    def assigned(self, offer: str) -> Bools:
        """Rows that were assigned this offer, or "none"."""
        return np.asarray(self.rows["offer_id"] == offer)

    def in_choice_set(self, offer: str) -> Bools:
        """Rows of choice sets with both this offer and held-out customers."""
        lots = self.rows.loc[self.rows["offer_id"] == offer, "lot"].unique()
        rows: Bools = self.compared & np.asarray(self.rows["lot"].isin(lots))
        return rows

    def overlap_weights(self, offer: str) -> Floats:
        """The weight of each row in averages of an offer's effect, 0 to 1; 0 outside its choice
        sets.

        Of each choice set 1 / mean(1 / e_j + 1 / e_0), e_j and e_0 being the propensities of the
        offer and of none, estimated from the rows assigned to them. Choice sets that hardly vary
        the offer then do not drown the others in noise, so that more rows do not widen an interval
        as they may with the plain mean. Source: overlap weights, Li, Morgan and Zaslavsky (2018).
        """
        rows = self.in_choice_set(offer)
        shown = rows & (self.assigned(offer) | self.assigned(NO_OFFER))
        noise = pd.Series(np.where(shown, 1 / self.propensity**2, 0.0)[rows])
        lots = self.rows.loc[rows, "lot"].to_numpy()
        weights = np.zeros(len(self))
        weights[rows] = 1 / noise.groupby(lots).transform("mean").to_numpy()
        return weights / weights.max(initial=0.0) if rows.any() else weights

    def only(self, which: NDArray[Any]) -> ExperimentData:
        """Some of the rows, by a mask or positions."""
        return replace(self, rows=self.rows.iloc[np.arange(len(self))[which]])

    def customers_assigned(self, offer: str, *, among: Bools) -> int:
        """Distinct customers who were assigned this offer, or "none"."""
        return int(self.rows.loc[self.assigned(offer) & among, "customer_id"].nunique())


def feature_matrix(rows: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Features as float32, shape (rows, features), as the trees take them."""
    return rows[list(names)].to_numpy(dtype="float32", na_value=np.nan)


def check_propensities(contacts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The contacts of lots whose assignments agree with their propensities, and the number of
    all others. `contacts` has lot, offer_id and propensity.
    """
    gaps = contacts.groupby("lot")[["offer_id", "propensity"]].apply(_largest_gap)
    plausible = gaps.index[gaps <= MAX_STANDARD_ERRORS] if len(contacts) else gaps.index
    kept = contacts[contacts["lot"].isin(plausible)]
    return kept, len(contacts) - len(kept)


def propensity_gap(propensity: np.ndarray, rows: int) -> float:
    """Difference between the sum of 1 / propensity over an arm and the rows of the choice set, in
    standard errors. Its expectation is 0 if the propensities are right (Horvitz and Thompson 1952).

    The error is estimated from the arm and scaled to the rows, so that an arm of a small chance
    which few happened to draw is not taken for a wrong log.

    >>> propensity_gap(np.full(50, 0.5), rows=100)
    0.0
    """
    total = np.sum(1 / propensity)
    error = np.sqrt(np.sum((1 - propensity) / propensity**2) * rows / total)
    return float(abs(total - rows) / error)


def _largest_gap(lot: pd.DataFrame) -> float:
    arms = lot.groupby("offer_id")["propensity"]
    return max(propensity_gap(arm.to_numpy(), len(lot)) for _, arm in arms)


def build_experiment(
    tables: Tables,
    *,
    as_of: date,
    clock: FeatureClock,
    margin_rate: float = 1.0,
    names: Sequence[str] | None = None,
    assigned: pd.DataFrame | None = None,
) -> ExperimentData:
    """The randomised contacts whose horizon had passed by `as_of` (exclusive).

    `assigned` are offers that plans on record assigned (`ASSIGNED`, one row a customer and plan,
    as of a date). They count for campaigns of whose contacts the tables state no propensity.

    Features use only what happened before the day of the contact. A contact whose propensity is
    not strictly between 0 and 1 is counted as observational and not used. `names` selects the
    features (default: all that the connected tables provide). Raises DataError without contacts.
    """
    recorded, replaced = _on_record(tables, assigned)
    contacts, counts = _contacts(recorded, tables, as_of=as_of, horizon_days=clock.horizon_days)
    randomised = contacts["propensity"].between(0, 1, inclusive="neither")
    observational = contacts.loc[~randomised & (contacts["offer_id"] != NO_OFFER), "offer_id"]
    features = feature_names(tables.connected()) if names is None else tuple(names)
    checked, unfit = check_propensities(contacts[randomised])
    rows = _with_outcomes(tables, checked, as_of=as_of, clock=clock, names=features)
    rows = rows.rename(columns={"horizon_net_spend": "margin"})
    rows["margin"] = margin_rate * rows["margin"]
    rows["retained"] = (rows["horizon_orders"] > 0).astype("float64")
    named = list(COLUMNS)
    if tables.has("redemptions"):
        rows[REDEEMED] = _redeemed(tables, rows, clock.horizon_days)
        named.append(REDEEMED)
    counts |= {BY_PLAN: replaced, UNFIT: unfit, UNKNOWN: len(checked) - len(rows)}
    return ExperimentData(
        rows=rows[[*named, *features]].reset_index(drop=True),
        feature_names=features,
        horizon_days=clock.horizon_days,
        observational={str(k): int(v) for k, v in observational.value_counts().items()},
        left_out={reason: count for reason, count in counts.items() if count},
        by_plan=int(rows["by_plan"].sum()),
    )


def _redeemed(tables: Tables, rows: pd.DataFrame, horizon_days: int) -> NDArray[np.float64]:
    """1 if the customer redeemed the assigned offer, or one that is not named, within the horizon
    from the day of the contact.
    """
    frame = tables.frame("redemptions")
    is_named = "offer_id" in frame.collect_schema().names()
    found: pd.DataFrame = tables.engine.collect(
        frame.select("customer_id", "local_day", *(["offer_id"] if is_named else []))
    ).to_pandas()
    sent = rows[["customer_id", "cutoff", "offer_id"]].assign(place=np.arange(len(rows)))
    joined = sent.merge(found.rename(columns={"offer_id": "of"}), on="customer_id")
    late = joined["local_day"] - joined["cutoff"]
    ours = late.between(0, horizon_days, inclusive="left") & (joined["offer_id"] != NO_OFFER)
    if is_named:
        ours &= joined["of"].isna() | (joined["of"] == joined["offer_id"])
    return np.isin(np.arange(len(rows)), joined.loc[ours, "place"]).astype(float)


def _on_record(tables: Tables, assigned: pd.DataFrame | None) -> tuple[pd.DataFrame, int]:
    """The contacts of the tables, and those that plans assigned in campaigns of whose contacts the
    tables state no propensity (`KEPT` and `by_plan`); and the number that these take the place of.
    """
    parts = []
    if tables.has("contacts"):
        parts.append(_connected(tables).assign(by_plan=False))
    if assigned is not None and len(assigned):
        parts.append(_of_plans(assigned, tables.settings.day_timezone).assign(by_plan=True))
    if not parts:
        rule = "effects are estimated from table 'contacts', which is not connected"
        raise DataError(rule, fix="Name its source in [data.contacts].")
    if len(parts) == 1:
        return parts[0], 0
    table, plans = parts
    stated = set(table.loc[table["propensity"].notna(), "campaign_id"])
    plans = plans[~plans["campaign_id"].isin(stated)]
    others = table[~table["campaign_id"].isin(set(plans["campaign_id"]))]
    both = [part for part in (others, plans) if len(part)] or [others]
    return pd.concat(both, ignore_index=True), len(table) - len(others)


def _of_plans(assigned: pd.DataFrame, day_timezone: str) -> pd.DataFrame:
    """The rows of plans as contacts on the plan's date."""
    days = {day: midnight(day, day_timezone) for day in assigned["as_of"].unique()}
    return assigned.assign(
        campaign_id=assigned["campaign_id"].str.strip().str.lower(),
        day=assigned["as_of"].map(days),
        cutoff=assigned["as_of"].map(day_number),
    )[[*KEPT]]


def _connected(tables: Tables) -> pd.DataFrame:
    """The contacts of the tables."""
    frame = tables.frame("contacts")
    columns = frame.collect_schema().names()
    contacts: pd.DataFrame = tables.engine.collect(
        frame.select(
            "customer_id",
            "campaign_id",
            "day",
            *(name for name in ("lot", "offer_id", "arm", "propensity") if name in columns),
            cutoff=nw.col("local_day"),
        )
    ).to_pandas()
    contacts = contacts.reindex(columns=[*KEPT])
    return contacts.astype({"propensity": "float64"})


def _contacts(
    contacts: pd.DataFrame, tables: Tables, *, as_of: date, horizon_days: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The first contact of each customer and campaign, and the number of others by reason."""
    contacts["lot"] = _choice_sets(contacts)
    contacts["offer_id"] = _assigned_offers(contacts)
    contacts = contacts.sort_values(["campaign_id", "customer_id", "day"], ignore_index=True)
    end = day_number(as_of) - tables.arrival_lag_days()
    seen = contacts[contacts["cutoff"] < day_number(as_of)]
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


def _choice_sets(contacts: pd.DataFrame) -> pd.Series[str]:
    """The campaign, followed by the lot if there is one."""
    lot = contacts["lot"].astype("object")
    campaign = contacts["campaign_id"].astype("object")
    return campaign.where(lot.isna(), campaign + "/" + lot.fillna("").astype(str))


def _assigned_offers(contacts: pd.DataFrame) -> pd.Series[str]:
    """The assigned offer; "none" in the arms `control` and `holdout`, whatever offer_id says."""
    arm = contacts["arm"].astype("object").fillna("treatment").str.lower()
    offer = contacts["offer_id"].astype("object")
    return offer.where(~arm.isin(NOT_CONTACTED), NO_OFFER)


def _with_outcomes(
    tables: Tables,
    contacts: pd.DataFrame,
    *,
    as_of: date,
    clock: FeatureClock,
    names: Sequence[str],
) -> pd.DataFrame:
    """The contacts of known customers, joined to features and outcomes."""
    keys = ["customer_id", "cutoff"]
    parts = []
    for cutoffs in _panels(contacts["cutoff"], as_of, clock, tables.arrival_lag_days()):
        named = set(contacts["customer_id"])
        built = sweep_features(tables, list(cutoffs), clock, names=names, customers=named)
        observed = tables.engine.collect(outcomes(tables, cutoffs)).to_pandas()
        joined = contacts.merge(built.table().to_pandas(), on=keys, how="inner")
        parts.append(joined.merge(observed, on=keys, how="left"))
    if not parts:
        return contacts.reindex(columns=[*contacts.columns, *OUTCOMES, *names])
    rows = pd.concat(parts, ignore_index=True)
    rows[[*OUTCOMES]] = rows[[*OUTCOMES]].astype("float64").fillna(0.0)
    return rows


def _panels(
    days: pd.Series[int], as_of: date, clock: FeatureClock, lag_days: int
) -> Iterator[Cutoffs]:
    """The days of the contacts as cutoffs, in batches to bound memory."""
    dates = [date_of(int(day)) for day in np.unique(days)]
    for begin in range(0, len(dates), CUTOFFS_AT_ONCE):
        batch = tuple(dates[begin : begin + CUTOFFS_AT_ONCE])
        yield Cutoffs(batch, clock.horizon_days, as_of, arrival_lag_days=lag_days)
