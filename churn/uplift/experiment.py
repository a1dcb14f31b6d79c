"""Data of an experiment: one row per customer and campaign with its outcome, and resampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from churn.arrays import Bools, Floats
from churn.errors import DataError
from churn.offers.catalogue import NO_OFFER

COLUMNS = ("customer_id", "lot", "offer_id", "propensity", "retained", "margin")


def customer_codes(customer: ArrayLike) -> NDArray[np.int64]:
    """0, 1, 2 … for each distinct customer, row by row."""
    return np.asarray(pd.factorize(np.asarray(customer))[0], dtype=np.int64)


def customer_folds(customer: ArrayLike, folds: int, *, seed: int) -> NDArray[np.int64]:
    """The fold of each row: equal shares of the customers, all rows of a customer in one fold.

    >>> customer_folds(["ann", "bob", "ann", "cid"], 3, seed=1).tolist()
    [0, 1, 0, 2]
    """
    codes = customer_codes(customer)
    places = np.random.default_rng(seed).permutation(codes.max(initial=-1) + 1)
    return np.asarray(places[codes] % folds)


@dataclass(frozen=True)
class ExperimentData:
    """Randomised contacts and their outcomes, one per row: `COLUMNS`, then features.

    Rows of one `lot` (choice set) could have been assigned the same offers. `offer_id` is the
    assigned offer, "none" for controls: intention to treat. `propensity` is the probability of that
    assignment, strictly between 0 and 1. `retained` is 1 if there is an order within
    `horizon_days`; `margin` is that of those days. Features are as of before the contact.
    `observational` counts contacts that were not randomised, by offer; `left_out` counts other
    unusable contacts by reason.
    """

    rows: pd.DataFrame
    feature_names: tuple[str, ...]
    horizon_days: int
    observational: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [n for n in (*COLUMNS, *self.feature_names) if n not in self.rows]
        if missing:
            fix = "Build the experiment with build_experiment, or add them."
            raise DataError(f"an experiment lacks column(s) {missing}", fix=fix)
        outside = int((~self.rows["propensity"].between(0, 1, inclusive="neither")).sum())
        if outside:
            raise DataError(
                "propensities must lie strictly between 0 and 1",
                got=f"{outside} row(s) outside",
                fix="Leave out contacts that were not randomised: they are observational.",
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def offers(self) -> tuple[str, ...]:
        """The offers of choice sets with controls, sorted by name."""
        given = self.rows.loc[self.compared, "offer_id"].unique()
        return tuple(sorted(name for name in given if name != NO_OFFER))

    @property
    def compared(self) -> Bools:
        """Rows of choice sets with controls."""
        kept = self.rows.loc[self.rows["offer_id"] == NO_OFFER, "lot"].unique()
        return np.asarray(self.rows["lot"].isin(kept))

    @property
    def customer(self) -> NDArray[Any]:
        """The customer of each row."""
        return self.rows["customer_id"].to_numpy()

    @property
    def retained(self) -> Floats:
        """1 for an order within the horizon, else 0."""
        return self.rows["retained"].to_numpy(dtype="float64")

    @property
    def propensity(self) -> Floats:
        """The probability of the assignment of each row."""
        return self.rows["propensity"].to_numpy(dtype="float64")

    @property
    def matrix(self) -> np.ndarray:
        """The features as float32, shape (rows, features)."""
        return feature_matrix(self.rows, self.feature_names)

    def was_given(self, offer: str) -> Bools:
        """Rows that were assigned that offer, or "none"."""
        return np.asarray(self.rows["offer_id"] == offer)

    def could_get(self, offer: str) -> Bools:
        """Rows of choice sets with both that offer and controls."""
        gave = self.rows.loc[self.rows["offer_id"] == offer, "lot"].unique()
        could: Bools = self.compared & np.asarray(self.rows["lot"].isin(gave))
        return could

    def only(self, which: NDArray[Any]) -> ExperimentData:
        """The rows selected by a mask or by positions."""
        return replace(self, rows=self.rows.iloc[np.arange(len(self))[which]])

    def customers_given(self, offer: str, *, among: Bools) -> int:
        """The number of distinct customers who were assigned that offer, or "none"."""
        return int(self.rows.loc[self.was_given(offer) & among, "customer_id"].nunique())


def feature_matrix(rows: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """The features as float32, the input of the trees, shape (rows, features)."""
    return rows[list(names)].to_numpy(dtype="float32", na_value=np.nan)
